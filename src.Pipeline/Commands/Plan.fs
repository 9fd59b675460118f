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
    | [<Unique>] Variant of NAME: string
    | Time
    | [<Unique>] Ranks of N: int

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ ->
                "configuration file (JSON with comments): models, classifiers, a prior, a sweep, a progressive chain or an allocation."
            | Set _ -> "KEY=VALUE, which replaces a value of the configuration; may be given several times."
            | Variant _ -> "only this variant of the configuration."
            | Ranks _ ->
                "time a few training steps here, and estimate what so many processes like this one gain, and how many are worth using."
            | Time -> "time a few training steps, and estimate how long training takes here."

let example = "dq plan configs/cifar10.json --set data.path=cifar-10-batches-bin"

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
    /// That a step of several processes sums.
    SummedBytes: int64
}

/// A head's buffers hold a chunk of pixels, however many a step has.
let private costOfContext (spec: ContextSpec) =
    use head = new ContextHead(spec)

    {
        Parameters = head.ParameterCount
        CodeRateUniformBitsPerDim = 0.0
        EstimatedMemoryBytes = Memory.ofParameters head.ParameterCount
        SummedBytes = 4L * head.ParameterCount
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
        SummedBytes = Scaling.bytes spec model.ParameterCount
    }

let private cost (config: RunConfig) (channels, height, width) =
    let spec = config.Model.ForImages channels

    if Settings.isContextAlone config then
        costOfContext spec.Context
    else
        costOfLevels config spec (channels, height, width)

/// What is known of one variant.
type private Foreseen = {
    Steps: PlannedStep list
    Images: Checks.SplitCounts
    /// None for classifiers, and where the images' size is not known before they are packed.
    Cost: Cost option
    /// Seconds of a training step, where they were asked for and the size is known.
    SecondsPerStep: float option
}

let private countsOf (record: DatasetRecord) : Checks.SplitCounts = {
    Train = record.Train.Count
    Validation = record.Validation.Count
    Test = record.Test.Count
}

let private planOf (place: Workplace) (standing: Standing) time (variant: Variant) =
    result {
        let config = variant.Config
        let! images = Stage.plan standing (Pipelines.packed config.Data)
        let record = images.Finished |> Option.map _.Value.Record

        let! counts =
            match record with
            | Some record -> Ok(countsOf record)
            | None -> Prepare.foresee standing config.Data |> Result.map _.Counts

        do! Checks.missingImages config counts |> Checks.asError config.Name
        let! planned = Stage.plan standing (Pipelines.evaluated variant)

        let shape =
            if Settings.isClassifier config then
                None
            else
                shapeOf config record

        let! seconds =
            if time then
                shape |> Option.traverseResult (StepTime.seconds place.Settings.Device config)
            else
                Ok None

        return {
            Steps = planned.Steps
            Images = counts
            Cost = shape |> Option.map (cost config)
            SecondsPerStep = seconds
        }
    }

/// What several processes would gain over each kind of link.
let private gains (config: RunConfig) (foreseen: Foreseen) (ranks: int) =
    match foreseen.Cost, foreseen.SecondsPerStep with
    | Some cost, Some alone ->
        let images = config.Training.BatchSize / config.Training.Accumulate

        [
            for link in Scaling.links ->
                {|
                    Link = link.Name
                    SummedBytes = cost.SummedBytes
                    Speedup = Scaling.speedup link cost.SummedBytes images alone (min ranks images)
                    MostRanks = Scaling.most link cost.SummedBytes images alone
                |}
        ]
    | _ -> []

let private describe (ranks: int option) (variant: Variant) (foreseen: Foreseen) =
    let config = variant.Config

    let head =
        if variant.Variant = "" then
            config.Name
        else
            variant.Variant

    let images =
        $"  images: {foreseen.Images.Train} train, {foreseen.Images.Validation} validation, {foreseen.Images.Test} test\n"

    let costs =
        match foreseen.Cost with
        | None when Settings.isClassifier config -> ""
        | None -> "  costs are known once the images are packed\n"
        | Some cost ->
            let rate = number "F4" cost.CodeRateUniformBitsPerDim
            let gigabytes = number "F1" (float cost.EstimatedMemoryBytes / 1e9)

            $"  {counted cost.Parameters} parameters, code rate {rate} bits/dim (uniform), about {gigabytes} GB of memory in training\n"

    let time =
        match foreseen.SecondsPerStep with
        | None -> ""
        | Some seconds ->
            let whole =
                System.TimeSpan.FromSeconds(ceil (seconds * float config.Training.Steps)).ToString "c"

            let each = number "F3" seconds
            $"  {each} s a step, {whole} for {config.Training.Steps} steps without validation\n"

    let shared =
        [
            for ranks in Option.toList ranks do
                for gain in gains config foreseen ranks do
                    let megabytes = number "F1" (float gain.SummedBytes / 1e6)
                    let speedup = number "F1" gain.Speedup

                    $"  {ranks} ranks over {gain.Link}: about {speedup} times as fast, {megabytes} MB summed a step; up to {gain.MostRanks} are worth using\n"
        ]
        |> String.concat ""

    $"{head}\n{PlannedSteps.table foreseen.Steps}{images}{costs}{time}{shared}"

let private dataOf (ranks: int option) (variant: Variant) (foreseen: Foreseen) = {|
    Ranks = ranks |> Option.map (gains variant.Config foreseen) |> Option.defaultValue []
    Variant = variant.Variant
    Stages = PlannedSteps.data foreseen.Steps
    Images = foreseen.Images
    Parameters = foreseen.Cost |> Option.map _.Parameters |> Option.toNullable
    CodeRateUniformBitsPerDim = foreseen.Cost |> Option.map _.CodeRateUniformBitsPerDim |> Option.toNullable
    EstimatedMemoryBytes = foreseen.Cost |> Option.map _.EstimatedMemoryBytes |> Option.toNullable
    SecondsPerStep = foreseen.SecondsPerStep |> Option.toNullable
|}

let private models (place: Workplace) (arguments: ParseResults<Arguments>) file layers =
    result {
        let! variants =
            Config.ofLayers file layers
            |> Result.bind (Command.only file (arguments.TryGetResult Variant))

        let ranks = arguments.TryGetResult Ranks

        match ranks with
        | Some ranks when ranks < 1 ->
            return! Error(Usage $"--ranks: expected a whole number of at least 1, got {ranks}")
        | _ -> ()

        let! _ = Workplace.loadTorch place
        let standing = Standing.asOfNow place.Standing

        let! foreseen =
            variants
            |> List.traverseResultM (planOf place standing (arguments.Contains Time || ranks.IsSome))

        let text = List.map2 (describe ranks) variants foreseen |> String.concat "\n"

        place.Output.Result(
            text,
            {|
                Variants = List.map2 (dataOf ranks) variants foreseen
            |}
        )
    }

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    result {
        let file, sets = arguments.GetResult Config, arguments.GetResults Set
        let! layers = Config.layers file sets

        let ofAnotherKind =
            [
                if Config.asksFor "sweep" layers then
                    "a sweep", (fun () -> Sweep.plan place file sets)
                if Config.asksFor "progressive" layers then
                    "a chain", (fun () -> Progressive.planOf place file sets)
                if Config.asksFor "allocation" layers then
                    "an allocation", (fun () -> Allocate.plan place file sets)
                if Config.asksForPrior layers then
                    "a prior", (fun () -> Prior.plan place file sets)
            ]
            |> List.tryHead

        match ofAnotherKind with
        | None -> return! models place arguments file layers
        | Some(kind, _) when arguments.Contains Variant || arguments.Contains Time ->
            return! Error(Usage $"--variant and --time: are for models, and {file} has {kind}")
        | Some(_, plan) -> return! plan ()
    }
    |> Task.FromResult
