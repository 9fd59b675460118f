/// The `progressive` object of a configuration: one model trained at growing image sizes, stage after stage.
module DQ.Pipeline.Progressive.Chain

open System
open System.Collections.Generic
open System.Text.Json
open System.Text.Json.Nodes
open DQ.Core.Quantization
open DQ.Pipeline
open FsToolkit.ErrorHandling

/// A stage as a configuration says it.
type StageConfig = {
    /// Side of the images in pixels; never below that of the stage before.
    ImageSize: int
    /// Optimizer steps; either this or epochs.
    Steps: Nullable<int64>
    /// Times through the training images; either this or steps.
    Epochs: Nullable<float>
    /// Images per optimizer step; null takes training.batch_size.
    BatchSize: Nullable<int>
    /// Peak learning rate; null takes training.learning_rate.
    LearningRate: Nullable<float>
    /// Parts of the model that stay as the stage before left them, as in training.freeze.
    Freeze: IReadOnlyList<string>
}

/// Training at the last size from new weights, with as many multiply-adds as the whole chain.
type ScratchConfig = {
    /// Images per optimizer step; null takes the last stage's.
    BatchSize: Nullable<int>
    /// Peak learning rate; null takes the last stage's.
    LearningRate: Nullable<float>
}

/// How long a stage trains.
type Length =
    | Steps of int64
    | Epochs of float

/// A stage whose configuration is complete but for the steps.
type Stage = {
    Name: string
    Length: Length
    /// With `unknownSteps`, where the length is in epochs.
    Config: RunConfig
}

type Chain = {
    Name: string
    Stages: Stage list
    /// None where it was not asked for. Its steps follow from the chain's multiply-adds.
    Scratch: Stage option
    /// The same configuration with other steps.
    WithSteps: Stage -> int64 -> Result<Variant, StageError>
}

/// In place of steps that are known once the images are.
let private unknownSteps = 1L <<< 40

/// Keys of the object.
let keys = [ "stages"; "scratch" ]

let private noStage: StageConfig = {
    ImageSize = 0
    Steps = Nullable()
    Epochs = Nullable()
    BatchSize = Nullable()
    LearningRate = Nullable()
    Freeze = [||]
}

let private noScratch: ScratchConfig = {
    BatchSize = Nullable()
    LearningRate = Nullable()
}

/// The fields of a stage and of the training from scratch, for the schema.
let stageFields = Shape.fields noStage
let scratchFields = Shape.fields noScratch

/// The name that the training from scratch has as a variant.
let scratchName = "scratch"

let private show (node: JsonNode | null) =
    match node with
    | null -> "null"
    | node -> node.ToJsonString()

/// What the layers say at a key, merged.
let private merged key (layers: ConfigTree.Layer list) : JsonNode | null =
    (null, layers)
    ||> List.fold (fun under layer ->
        match ConfigTree.find key layer.Tree with
        | None -> under
        | Some over -> ConfigTree.merge under over)

/// A record of these fields from an object, over its defaults.
let private read<'T> prefix (fields: Shape.Field list) (tree: JsonObject) : Result<'T, (string * string) list> =
    match Shape.check [] fields tree with
    | [] ->
        let whole = ConfigTree.mergeObjects (Shape.tree fields) tree

        match JsonSerializer.Deserialize<'T>(whole, Shape.serializer) with
        | null -> invalidOp "the tree was checked"
        | value -> Ok value
    | problems -> Error [ for key, message in problems -> $"{prefix}.{key}", message ]

let private readStage name (node: JsonNode) : Result<string * StageConfig, (string * string) list> =
    let key = $"progressive.stages.{name}"

    match node with
    | :? JsonObject when name = scratchName ->
        Error [ key, $"expected another name: '{scratchName}' is the training from scratch" ]
    | :? JsonObject as tree ->
        result {
            let! stage = read<StageConfig> key stageFields tree
            let size = tree["image_size"]

            let problems = [
                if stage.ImageSize < 1 then
                    $"{key}.image_size", $"expected the side of the images in pixels, got {show size}"
                if stage.Steps.HasValue = stage.Epochs.HasValue then
                    key, "expected either steps or epochs"
                if stage.Epochs.HasValue && not (stage.Epochs.Value > 0.0) then
                    $"{key}.epochs", $"expected a number above 0, got {stage.Epochs.Value}"
            ]

            if problems.IsEmpty then
                return name, stage
            else
                return! Error problems
        }
    | other -> Error [ key, $"expected an object {{ … }} or null, got {show other}" ]

/// Images never get smaller: a later stage would unlearn what it came from.
let private growing (stages: (string * StageConfig) list) : Validation<unit, string * string> =
    let shrinking = [
        for (_, before), (name, stage) in List.pairwise stages do
            if stage.ImageSize < before.ImageSize then
                $"progressive.stages.{name}.image_size",
                $"expected at least {before.ImageSize}, the size of the stage before, got {stage.ImageSize}"
    ]

    if shrinking.IsEmpty then Ok() else Error shrinking

let private readStages (node: JsonNode | null) : Result<(string * StageConfig) list, (string * string) list> =
    match node with
    | :? JsonObject as stages ->
        validation {
            let! stages =
                [
                    for pair in stages do
                        match pair.Value with
                        | null -> () // taken out again
                        | node -> pair.Key, node
                ]
                |> List.traverseResultA (fun (name, node) -> readStage name node)
                |> Result.mapError List.concat

            if stages.IsEmpty then
                return! Error [ "progressive.stages", "expected at least one stage" ]
            else
                do! growing stages
                return stages
        }
    | other -> Error [ "progressive.stages", $"expected an object of named stages, got {show other}" ]

let private readScratch (node: JsonNode | null) : Result<ScratchConfig option, (string * string) list> =
    match node with
    | null -> Ok None
    | :? JsonObject as tree -> read<ScratchConfig> "progressive.scratch" scratchFields tree |> Result.map Some
    | other -> Error [ "progressive.scratch", $"expected an object {{ … }} or null, got {show other}" ]

let private readAll (layers: ConfigTree.Layer list) =
    match merged "progressive" layers with
    | :? JsonObject as progressive ->
        validation {
            let! stages = readStages progressive["stages"]
            and! scratch = readScratch progressive["scratch"]

            and! () =
                match [ for pair in progressive -> pair.Key ] |> List.filter (fun key -> not (List.contains key keys)) with
                | [] -> Ok()
                | unknown ->
                    let known = String.concat ", " keys
                    Error [ for key in unknown -> $"progressive.{key}", $"unknown key; known here: {known}" ]

            and! () =
                if Config.asksFor "variants" layers then
                    Error [ "variants", "expected none beside progressive: a chain trains one model" ]
                else
                    Ok()

            return stages, scratch
        }
    | other -> Error [ "progressive", $"expected an object {{ … }}, got {show other}" ]

/// Whether the quantizer's averages warm up.
let private warmsUp (layers: ConfigTree.Layer list) =
    let kind =
        match merged "model.quantizer.kind" layers with
        | :? JsonValue as kind when kind.GetValueKind() = JsonValueKind.String -> kind.GetValue<string>()
        | _ -> Settings.defaults.Model.Quantizer.Kind

    Quantizers.Find kind
    |> Option.ofObj
    |> Option.exists (fun kind -> Seq.contains "decay_warmup" kind.Keys)

/// A stage's settings as a layer over the configuration.
let private layer file prefix withoutWarmup (stage: StageConfig) (steps: int64) : ConfigTree.Layer =
    let training = JsonObject()
    training["steps"] <- JsonValue.Create steps

    if stage.BatchSize.HasValue then
        training["batch_size"] <- JsonValue.Create stage.BatchSize.Value

    if stage.LearningRate.HasValue then
        training["learning_rate"] <- JsonValue.Create stage.LearningRate.Value

    if stage.Freeze.Count > 0 then
        training["freeze"] <- JsonSerializer.SerializeToNode stage.Freeze

    let data = JsonObject()
    data["image_size"] <- JsonValue.Create stage.ImageSize
    let tree = JsonObject()
    tree["data"] <- data
    tree["training"] <- training

    if withoutWarmup then
        // the codes come with their averages: a warm-up would throw them away with the first batch
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

/// What is wrong with a stage's layer, under the key the stage has it by.
let private atStage (length: Length) (problem: ConfigProblem) =
    let key =
        problem.Key.Replace(".data.image_size", ".image_size").Replace(".training.", ".")

    {
        problem with
            Key =
                match length with
                | Epochs _ when key.StartsWith "progressive." -> key.Replace(".steps", ".epochs")
                | _ -> key
    }

let private resolve file (layers: ConfigTree.Layer list) name (length: Length) (layer: int64 -> ConfigTree.Layer) steps =
    match Config.ofLayers file (layers @ [ layer steps ]) with
    | Ok variants -> Ok { List.exactlyOne variants with Variant = name }
    | Error(Configuration problems) -> Error(problems |> List.map (atStage length))
    | Error other -> Error [ { File = file; Key = ""; Message = string other } ]

/// The chain of a configuration file; all problems at once.
let load (file: string) (assignments: string list) : Result<Chain, StageError> =
    result {
        let! layers = Config.layers file assignments

        if not (Config.asksFor "progressive" layers) then
            return! Error(Usage $"{file}: expected a progressive object; dq run is for configurations without one")

        let! stages, scratch =
            readAll layers
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

        let lengthOf (stage: StageConfig) =
            match Option.ofNullable stage.Steps with
            | Some steps -> Steps steps
            | None -> Epochs stage.Epochs.Value

        let layersOf: (string * Length * (int64 -> ConfigTree.Layer)) list = [
            for index, (name, stage) in List.indexed stages do
                name, lengthOf stage, layer file $"progressive.stages.{name}." (index > 0 && warmsUp layers) stage

            for scratch in Option.toList scratch do
                let _, last = List.last stages

                let like = {
                    last with
                        Freeze = [||]
                        BatchSize = if scratch.BatchSize.HasValue then scratch.BatchSize else last.BatchSize
                        LearningRate =
                            if scratch.LearningRate.HasValue then
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

        let stagesOf = [
            for name, length, config in resolved do
                for variant in config |> Result.toOption |> Option.toList do
                    {
                        Name = name
                        Length = length
                        Config = variant.Config
                    }
        ]

        let withSteps (stage: Stage) steps =
            let name, length, layer = layersOf |> List.find (fun (name, _, _) -> name = stage.Name)
            resolve file layers name length layer steps |> Result.mapError Configuration

        return {
            Name = stagesOf.Head.Config.Name
            Stages = stagesOf |> List.filter (fun stage -> stage.Name <> scratchName)
            Scratch = stagesOf |> List.tryFind (fun stage -> stage.Name = scratchName)
            WithSteps = withSteps
        }
    }
