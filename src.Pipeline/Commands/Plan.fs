/// `dq plan`: what `run` would do and why, and what it would cost. Nothing is made.
module DQ.Pipeline.Commands.Plan

open System
open System.Globalization
open System.IO
open System.Text.Json.Nodes
open System.Threading.Tasks
open Argu
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Likelihoods
open DQ.Core.Quantization
open DQ.Pipeline
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | Set of ASSIGNMENT: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ -> "configuration file (JSON with comments)."
            | Set _ -> "KEY=VALUE over the configuration; may be given several times."

let example = "dq plan configs/cifar10.json --set data.path=cifar-10-batches-bin"

/// What would happen to one stage: reused, continued or new, and why.
type private Step = {
    Stage: string
    Action: string
    Why: string
}

let private reused stage why = {
    Stage = stage
    Action = "reused"
    Why = why
}

let private anew stage why = {
    Stage = stage
    Action = "new"
    Why = why
}

/// Dotted keys whose values differ between two trees.
let rec private differences prefix (a: JsonObject) (b: JsonObject) : string list = [
    for pair in b do
        let key = prefix + pair.Key

        match a[pair.Key], pair.Value with
        | (:? JsonObject as a), (:? JsonObject as b) -> yield! differences (key + ".") a b
        | a, b when ConfigTree.canonical a <> ConfigTree.canonical b ->
            $"{key} {ConfigTree.canonical a} → {ConfigTree.canonical b}"
        | _ -> ()
]

/// Why there is no run of this fingerprint: what sets the latest run of the same name apart.
let private whyNew store (variant: Variant) =
    let sameName (run: StoredRun) =
        match run.Record with
        | Ok record when record.Name = variant.Config.Name && record.Variant = variant.Variant -> Some record
        | _ -> None

    match Store.list store |> List.choose sameName |> List.sortByDescending _.StartedUtc with
    | [] -> "no run of this name"
    | latest :: _ ->
        match differences "" latest.Config (Settings.toTree variant.Config) with
        | [] -> $"unlike {latest.Id}: the images changed"
        | changes -> $"""unlike {latest.Id}: {String.concat ", " changes}"""

let private trainStep store (variant: Variant) (runs: (StoredRun * RunRecord) list) =
    let stage = $"train {Train.title variant}"

    match runs with
    | (_, record) :: _ when record.Status = RunStatus.Completed -> reused stage record.Id
    | (run, record) :: _ -> {
        Stage = stage
        Action = "continued"
        Why = $"{record.Id}, {Store.status run.Folder record} at step {record.StepsDone} of {record.Steps}"
      }
    | [] -> anew stage (whyNew store variant)

let private evaluateStep (variant: Variant) (runs: (StoredRun * RunRecord) list) data =
    let stage = $"evaluate {Train.title variant}"

    match runs with
    | (run, record) :: _ when record.Status = RunStatus.Completed ->
        match Evaluate.find (Evaluate.fingerprint variant.Config.Evaluation record data) run.Folder with
        | Some _ -> reused stage $"{record.Id}/{RunLayout.Evaluation}"
        | None -> anew stage "not evaluated with these settings"
    | _ -> anew stage "after training"

/// The images' shape: of the packed data set where it is there, else what the source is known to have.
let private shapeOf (config: RunConfig) (dataset: DatasetRecord option) =
    match dataset, Checks.knownSide config.Data with
    | Some record, _ -> Some(record.Channels, record.Height, record.Width)
    | None, Some side -> Some(Checks.knownChannels config.Data, side, side)
    | None, None -> None

type private Cost = {
    Parameters: int64
    CodeRateUniformBitsPerDim: float
    EstimatedMemoryBytes: int64
}

let private cost (config: RunConfig) (channels, height, width) =
    let spec = config.Model.ForImages channels
    use model = new HierarchicalAutoencoder(spec)

    {
        Parameters = model.ParameterCount
        CodeRateUniformBitsPerDim =
            CodeRate.UniformBitsPerImage(spec.Grids(height, width))
            / float (channels * height * width)
        EstimatedMemoryBytes =
            Memory.estimate
                spec
                model.ParameterCount
                model.Likelihood.OutputChannels
                (config.Training.BatchSize / config.Training.Accumulate)
                height
                width
    }

let private planOf (store: Store) (variant: Variant) =
    result {
        let config = variant.Config
        let! foreseen = Ingest.foresee config.Data
        let data = foreseen.Fingerprint
        let folder = Prepare.folder store config.Data data
        let exists = Directory.Exists folder

        // opened as run does, so that a set that was damaged since is not called reusable
        let! record =
            if exists then
                Dataset.open' folder
                |> Result.map (fun dataset ->
                    use opened = dataset
                    Some opened.Record)
            else
                Ok None

        let! runs =
            Store.ofFingerprint store (Train.title variant) (Train.fingerprint config data)

        do!
            match record with
            | Some record -> Train.enough config record
            | None -> Checks.missingImages config foreseen.Counts |> Checks.asError config.Name

        let name = string (Path.GetFileName folder)

        let steps = [
            if exists then
                reused "ingest" name
            else
                anew "ingest" $"no data set {name}"
            trainStep store variant runs
            evaluateStep variant runs data
        ]

        return steps, shapeOf config record |> Option.map (cost config)
    }

let private describe (variant: Variant) (steps: Step list, cost: Cost option) =
    let head =
        if variant.Variant = "" then
            variant.Config.Name
        else
            variant.Variant

    let costs =
        match cost with
        | None -> "  costs are known once the images are packed\n"
        | Some cost ->
            let invariant = CultureInfo.InvariantCulture
            let parameters = cost.Parameters.ToString("N0", invariant)
            let rate = cost.CodeRateUniformBitsPerDim.ToString("F4", invariant)
            let gigabytes = (float cost.EstimatedMemoryBytes / 1e9).ToString("F1", invariant)
            $"  {parameters} parameters, code rate {rate} bits/dim (uniform), about {gigabytes} GB of memory in training\n"

    let table =
        Table.render Table.Left [ for step in steps -> [ "  " + step.Stage; step.Action; step.Why ] ]

    $"{head}\n{table}{costs}"

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    result {
        let! variants = Config.load (arguments.GetResult Config) (arguments.GetResults Set)
        let store = Workplace.store place
        let! _ = Workplace.loadTorch place
        let! plans = variants |> List.map (planOf store) |> List.sequenceResultM

        let text = List.map2 describe variants plans |> String.concat "\n"

        let data =
            List.map2
                (fun (variant: Variant) (steps: Step list, cost: Cost option) -> {|
                    Variant = variant.Variant
                    Stages =
                        steps
                        |> List.map (fun step -> {|
                            Stage = step.Stage
                            Action = step.Action
                            Why = step.Why
                        |})
                    Parameters = cost |> Option.map _.Parameters |> Option.toNullable
                    CodeRateUniformBitsPerDim = cost |> Option.map _.CodeRateUniformBitsPerDim |> Option.toNullable
                    EstimatedMemoryBytes = cost |> Option.map _.EstimatedMemoryBytes |> Option.toNullable
                |})
                variants
                plans

        place.Output.Result(text, {| Variants = data |})
    }
    |> Task.FromResult
