/// One model trained at growing image sizes, phase after phase: the configuration of every phase.
module DQ.Pipeline.Progressive.Chain

open System.Text.Json
open System.Text.Json.Nodes
open DQ.Core.Quantization
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Progressive.Phases
open FsToolkit.ErrorHandling

/// The length of a phase's training.
type Length =
    | Steps of int64
    | Epochs of float

/// A phase whose configuration is complete except for the steps.
type Phase = {
    Name: string
    Length: Length
    /// The configuration; its steps are `unknownSteps` if the length is in epochs.
    Config: RunConfig
}

type Chain = {
    Name: string
    Phases: Phase list
    /// None if it is not configured. Its steps follow from the chain's multiply-adds.
    Scratch: Phase option
    /// The same configuration with other steps.
    WithSteps: Phase -> int64 -> Result<Variant, StageError>
}

/// Stands for steps that are known only when the images are known.
let private unknownSteps = 1L <<< 40

/// Whether the decay of the quantizer's averages has a warm-up.
let private warmsUp (layers: ConfigTree.Layer list) =
    let kind =
        match merged "model.quantizer.kind" layers with
        | :? JsonValue as kind when kind.GetValueKind() = JsonValueKind.String -> kind.GetValue<string>()
        | _ -> Settings.defaults.Model.Quantizer.Kind

    Quantizers.Find kind
    |> Option.ofObj
    |> Option.exists (fun kind -> Seq.contains "decay_warmup" kind.Keys)

/// A phase's settings as a layer over the configuration.
let private layer file prefix withoutWarmup (phase: PhaseConfig) (steps: int64) : ConfigTree.Layer =
    let training = JsonObject()
    training["steps"] <- JsonValue.Create steps

    if phase.BatchSize.IsSome then
        training["batch_size"] <- JsonValue.Create phase.BatchSize.Value

    if phase.LearningRate.IsSome then
        training["learning_rate"] <- JsonValue.Create phase.LearningRate.Value

    if phase.Freeze.Count > 0 then
        training["freeze"] <- JsonSerializer.SerializeToNode phase.Freeze

    let data = JsonObject()
    data["image_size"] <- JsonValue.Create phase.ImageSize
    let tree = JsonObject()
    tree["data"] <- data
    tree["training"] <- training

    if withoutWarmup then
        // the codes keep their averages, which a warm-up would replace with the first batch
        let quantizer = JsonObject()
        quantizer["decay_warmup"] <- JsonValue.Create 1.0
        let model = JsonObject()
        model["quantizer"] <- quantizer
        tree["model"] <- model

    {
        File = file
        Prefix = prefix
        Tree = tree
    }

/// The problems of a phase's layer, with the keys that the phase uses.
let private atPhase (length: Length) (problem: ConfigProblem) =
    let key =
        problem.Key.Replace(".data.image_size", ".image_size").Replace(".training.", ".")

    {
        problem with
            Key =
                match length with
                | Epochs _ when key.StartsWith "progressive." -> key.Replace(".steps", ".epochs")
                | _ -> key
    }

let private resolve
    file
    (layers: ConfigTree.Layer list)
    name
    (length: Length)
    (layer: int64 -> ConfigTree.Layer)
    steps
    =
    match Config.ofLayers file (layers @ [ layer steps ]) with
    | Ok [ { Config = { Loop = loop } } ] when not (isNull loop.StartFrom && isNull loop.ContinueFrom) ->
        Error [
            {
                File = file
                Key =
                    if isNull loop.StartFrom then
                        "training.continue_from"
                    else
                        "training.start_from"
                Message = "expected null: a phase starts from the one before, and the first from new weights"
            }
        ]
    | Ok variants ->
        Ok {
            List.exactlyOne variants with
                Variant = name
        }
    | Error(Configuration problems) -> Error(problems |> List.map (atPhase length))
    | Error other ->
        Error [
            {
                File = file
                Key = ""
                Message = string other
            }
        ]

/// The chain of a configuration file; all problems at once.
let load (file: string) (assignments: string list) : Result<Chain, StageError> =
    result {
        let! layers = Config.layers file assignments

        if not (Config.asksFor "progressive" layers) then
            return! Error(Usage $"{file}: expected a progressive object; dq run is for configurations without one")

        let! phases, scratch =
            Phases.read layers
            |> Result.mapError (fun problems ->
                Configuration [
                    for key, message in problems do
                        let file, key = ConfigTree.origin file layers key

                        {
                            File = file
                            Key = key
                            Message = message
                        }
                ])

        let lengthOf (phase: PhaseConfig) =
            match phase.Steps with
            | Some steps -> Steps steps
            | None -> Epochs phase.Epochs.Value

        let layersOf: (string * Length * (int64 -> ConfigTree.Layer)) list = [
            for index, (name, phase) in List.indexed phases do
                name, lengthOf phase, layer file $"progressive.stages.{name}." (index > 0 && warmsUp layers) phase

            for scratch in Option.toList scratch do
                let _, last = List.last phases

                let like = {
                    last with
                        Freeze = [||]
                        BatchSize =
                            if scratch.BatchSize.IsSome then
                                scratch.BatchSize
                            else
                                last.BatchSize
                        LearningRate =
                            if scratch.LearningRate.IsSome then
                                scratch.LearningRate
                            else
                                last.LearningRate
                }

                scratchName, Epochs 1.0, layer file "progressive.scratch." false like
        ]

        let resolved = [
            for name, length, layer in layersOf do
                let steps =
                    match length with
                    | Steps steps -> steps
                    | Epochs _ -> unknownSteps

                name, length, resolve file layers name length layer steps
        ]

        let problems =
            resolved
            |> List.collect (fun (_, _, config) ->
                match config with
                | Error problems -> problems
                | Ok _ -> [])
            |> List.distinct

        if not problems.IsEmpty then
            return! Error(Configuration problems)

        let phasesOf = [
            for name, length, config in resolved do
                for variant in config |> Result.toOption |> Option.toList do
                    {
                        Name = name
                        Length = length
                        Config = variant.Config
                    }
        ]

        let withSteps (phase: Phase) steps =
            let name, length, layer =
                layersOf |> List.find (fun (name, _, _) -> name = phase.Name)

            resolve file layers name length layer steps |> Result.mapError Configuration

        return {
            Name = phasesOf.Head.Config.Name
            Phases = phasesOf |> List.filter (fun phase -> phase.Name <> scratchName)
            Scratch = phasesOf |> List.tryFind (fun phase -> phase.Name = scratchName)
            WithSteps = withSteps
        }
    }
