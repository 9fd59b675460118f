/// `dq plan`: what `run` would do and why, and what it would cost. Nothing is made.
module DQ.Pipeline.Commands.Plan

open System.Threading.Tasks
open Argu
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Likelihoods.Context
open DQ.Core.Quantization
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Training
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open DQ.Pipeline.Numbers
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | Set of ASSIGNMENT: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ -> "configuration file (JSON with comments)."
            | Set _ -> "KEY=VALUE, which replaces a value of the configuration; may be given several times."

let example = "dq plan configs/cifar10.json --set data.path=cifar-10-batches-bin"

/// An action in tables.
let action step =
    match step.Action with
    | Action.Reuse -> "reused"
    | Action.Continue -> "continued"
    | Action.Make -> "new"

/// Steps as a table.
let table (steps: PlannedStep list) =
    Table.render Table.Left [ for step in steps -> [ "  " + step.Stage; action step; step.Why ] ]

/// Steps for machines.
let data (steps: PlannedStep list) =
    steps
    |> List.map (fun step -> {|
        Stage = step.Stage
        Action = action step
        Why = step.Why
    |})

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

/// A head's buffers hold a chunk of pixels, however many a step has.
let private costOfContext (spec: ContextSpec) =
    use head = new ContextHead(spec)

    {
        Parameters = head.ParameterCount
        CodeRateUniformBitsPerDim = 0.0
        EstimatedMemoryBytes = Memory.ofParameters head.ParameterCount
    }

let private costOfLevels (config: RunConfig) (spec: AutoencoderSpec) (channels, height, width) =
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

let private cost (config: RunConfig) (channels, height, width) =
    let spec = config.Model.ForImages channels

    if Settings.isContextAlone config then
        costOfContext spec.Context
    else
        costOfLevels config spec (channels, height, width)

let private planOf (standing: Standing) (variant: Variant) =
    result {
        let config = variant.Config
        let! images = Stage.plan standing (Pipelines.packed config.Data)

        do!
            match images.Finished with
            | Some dataset -> Train.enough config dataset.Value.Record
            | None ->
                Prepare.foresee standing config.Data
                |> Result.bind (fun foreseen ->
                    Checks.missingImages config foreseen.Counts |> Checks.asError config.Name)

        let! planned = Stage.plan standing (Pipelines.evaluated variant)
        let record = images.Finished |> Option.map _.Value.Record
        return planned.Steps, shapeOf config record |> Option.map (cost config)
    }

let private describe (variant: Variant) (steps, cost: Cost option) =
    let head =
        if variant.Variant = "" then
            variant.Config.Name
        else
            variant.Variant

    let costs =
        match cost with
        | None -> "  costs are known once the images are packed\n"
        | Some cost ->
            let rate = number "F4" cost.CodeRateUniformBitsPerDim
            let gigabytes = number "F1" (float cost.EstimatedMemoryBytes / 1e9)

            $"  {counted cost.Parameters} parameters, code rate {rate} bits/dim (uniform), about {gigabytes} GB of memory in training\n"

    $"{head}\n{table steps}{costs}"

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    result {
        let! variants = Config.load (arguments.GetResult Config) (arguments.GetResults Set)
        let! _ = Workplace.loadTorch place
        let standing = Standing.asOfNow place.Standing
        let! plans = variants |> List.traverseResultM (planOf standing)

        let text = List.map2 describe variants plans |> String.concat "\n"

        let data =
            List.map2
                (fun (variant: Variant) (steps, cost: Cost option) -> {|
                    Variant = variant.Variant
                    Stages = data steps
                    Parameters = cost |> Option.map _.Parameters |> Option.toNullable
                    CodeRateUniformBitsPerDim = cost |> Option.map _.CodeRateUniformBitsPerDim |> Option.toNullable
                    EstimatedMemoryBytes = cost |> Option.map _.EstimatedMemoryBytes |> Option.toNullable
                |})
                variants
                plans

        place.Output.Result(text, {| Variants = data |})
    }
    |> Task.FromResult
