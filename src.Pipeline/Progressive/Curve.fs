/// The quality of a chain's models at the last size during training.
module DQ.Pipeline.Progressive.Curve

open System
open System.IO
open System.Text.Json
open DQ.Core
open DQ.Core.Artifacts
open DQ.Core.Evaluation
open DQ.Core.Images
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Numbers
open DQ.Pipeline.Configuration
open DQ.Pipeline.Training
open DQ.Pipeline.Stages
open TorchSharp

/// The cost of the phases before a phase.
type Spent = { Seconds: float; MultiplyAdds: float }

/// Multiply-adds of training on a number of images.
let multiplyAdds (forwardPerImage: int64) (images: int64) =
    float TrainingSession.MultiplyAddsFactor * float forwardPerImage * float images

let private point (spent: Spent) perImage step images seconds (nats: float option) (squared: float option) =
    ChainPoint(
        step,
        spent.Seconds + seconds,
        spent.MultiplyAdds + multiplyAdds perImage images,
        Option.toNullable nats,
        nats |> Option.map (fun nats -> nats / Math.Log 2.0) |> Option.toNullable,
        Option.toNullable squared
    )

/// The validations during training, if that was at the last size.
let private ofValidations spent perImage (run: string) = [
    for line in File.ReadLines(Path.Combine(run, RunLayout.Metrics)) do
        match JsonSerializer.Deserialize<MetricsRecord>(line, ArtifactJson.Options) with
        | NonNull record when record.Split = "validation" ->
            point
                spent
                perImage
                record.Step
                record.ImagesSeen
                record.Seconds
                (Option.ofNullable record.ReconstructionNatsPerDim)
                (Option.ofNullable record.ReconstructionSquaredError)
        | _ -> ()
]

/// Measures the existing checkpoints at the last size.
let private ofCheckpoints
    spent
    perImage
    (context: StageContext)
    title
    (device: torch.Device)
    (images: PackedImages)
    (config: RunConfig)
    run
    =
    let states = Checkpoints.all run

    [
        for index, state in List.indexed states do
            context.Cancellation.ThrowIfCancellationRequested()
            use checkpoint = Checkpoint.Open(Checkpoints.weights run state.Step)
            use model = checkpoint.Model()
            ModuleExtensionMethods.``to`` (model, device) |> ignore
            let limit = min config.Loop.ValidationImages images.Count
            let loss = MeanLoss.Of(model, images.Batches(config.Evaluation.BatchSize, limit))
            let loss = if Double.IsFinite loss then Some loss else None
            let isDensity = model.Likelihood.IsDensity

            point
                spent
                perImage
                state.Step
                state.ImagesSeen
                state.Seconds
                (if isDensity then loss else None)
                (if isDensity then None else loss)

            context.Progress(Report.counted title "checkpoints" (int64 (index + 1)) (int64 states.Length))
    ]

/// A trained phase with its points; `images` are those of the validation split at the last size.
let measure
    (context: StageContext)
    (device: torch.Device)
    (spent: Spent)
    (images: PackedImages)
    (variant: Variant)
    (perImage: int64)
    (run: Train.TrainedRun)
    =
    let config = variant.Config

    let isAtLastSize =
        (run.Dataset.Record.Height, run.Dataset.Record.Width) = (images.Height, images.Width)

    let points =
        if isAtLastSize then
            ofValidations spent perImage run.Folder
        else
            let title = $"{Train.title variant} at {images.Height}×{images.Width}"
            ofCheckpoints spent perImage context title device images config run.Folder

    ChainStageRecord(
        Name = variant.Variant,
        Run = run.Record.Id,
        ImageSize = run.Dataset.Record.Height,
        Steps = config.Training.Steps,
        BatchSize = config.Training.BatchSize,
        LearningRate = config.Training.LearningRate,
        Frozen = config.Training.Freeze,
        ForwardMultiplyAddsPerImage = perImage,
        TrainingMultiplyAdds = multiplyAdds perImage run.Training.ImagesSeen,
        TrainingSeconds = run.Training.Seconds,
        Points = points
    )

/// The total cost of these phases.
let spentIn (phases: ChainStageRecord list) = {
    Seconds = phases |> List.sumBy _.TrainingSeconds
    MultiplyAdds = phases |> List.sumBy _.TrainingMultiplyAdds
}

let private columns =
    "curve,stage,run,step,training_seconds,training_multiply_adds,reconstruction_nats_per_dim,reconstruction_bits_per_dim,reconstruction_squared_error"

/// Both curves as CSV.
let csv (chain: ChainRecord) =
    let number = number "R"

    let optional = Numbers.orMissing "" number

    let rows curve (stage: ChainStageRecord) = [
        for point in stage.Points ->
            [
                curve
                stage.Name
                stage.Run
                string point.Step
                number point.TrainingSeconds
                number point.TrainingMultiplyAdds
                optional point.ReconstructionNatsPerDim
                optional point.ReconstructionBitsPerDim
                optional point.ReconstructionSquaredError
            ]
            |> String.concat ","
    ]

    String.concat "\n" [
        columns
        for stage in chain.Stages do
            yield! rows "progressive" stage
        for scratch in Option.toList (Option.ofObj chain.Scratch) do
            yield! rows "scratch" scratch
        ""
    ]

/// Replaces chain.json and curve.csv.
let save (folder: string) (chain: ChainRecord) =
    Directory.CreateDirectory folder |> ignore

    AtomicFile.Write(
        Path.Combine(folder, RunLayout.ChainCurve),
        fun stream -> stream.Write(Text.Encoding.UTF8.GetBytes(csv chain))
    )

    ArtifactJson.Write(Path.Combine(folder, RunLayout.Chain), chain)
