/// The learning-rate range test: loss while the rate grows from step to step, until training diverges.
/// Smith 2017, *Cyclical Learning Rates for Training Neural Networks*, section 3.3; the exponential growth and the
/// smoothing follow later practice.
module DQ.Pipeline.Training.RateTest

open System
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Data

type Ask = {
    /// Rate of the first step and of the last; it grows by equal factors between them.
    From: float
    To: float
    Steps: int
}

/// One step.
type Point = {
    Step: int
    LearningRate: float
    /// The loss by which the model is judged, on the step's batch: nats, or squared error.
    Loss: float
    /// Moving mean of the loss, with a correction for its start.
    Smoothed: float
}

type Curve = {
    Points: Point list
    /// The rate at which the smoothed loss fell fastest, as a function of the logarithm of the rate.
    SteepestRate: float option
    /// The rate at which it was lowest.
    LowestRate: float option
    /// Whether the loss rose to twice its first value, or was not finite, before the last step.
    Diverged: bool
}

/// Weight of the past in the moving mean of the loss.
let private memory = 0.9

/// Training counts as diverged at this multiple of the first smoothed loss.
let private divergence = 2.0

let rate (ask: Ask) step =
    ask.From * (ask.To / ask.From) ** (float step / float (max 1 (ask.Steps - 1)))

/// Adds a point to those before, the latest first.
let add (points: Point list) (rate, loss) : Point list =
    let step =
        match points with
        | [] -> 1
        | last :: _ -> last.Step + 1

    let corrected steps = 1.0 - memory ** float steps

    let mean =
        match points with
        | [] -> 0.0
        | last :: _ -> last.Smoothed * corrected last.Step

    let mean = memory * mean + (1.0 - memory) * loss

    {
        Step = step
        LearningRate = rate
        Loss = loss
        Smoothed = mean / corrected step
    }
    :: points

/// The result of the points.
let curve diverged (points: Point list) =
    let slope (before: Point, after: Point) =
        (after.Smoothed - before.Smoothed)
        / log (after.LearningRate / before.LearningRate)

    // over several steps, because differences between single steps are noise
    let apart = max 1 (points.Length / 10)

    let slopes =
        List.zip (List.truncate (max 0 (points.Length - apart)) points) (List.skip (min apart points.Length) points)

    {
        Points = points
        SteepestRate =
            match slopes with
            | [] -> None
            | slopes ->
                let before, after = List.minBy slope slopes
                Some(sqrt (before.LearningRate * after.LearningRate))
        // the first points are hardly smoothed
        LowestRate =
            match List.skip (min apart points.Length) points with
            | [] -> None
            | points -> Some (List.minBy _.Smoothed points).LearningRate
        Diverged = diverged
    }

/// Trains a new model in this way, and does not keep it. `make` returns the model with a rate of `From` that nothing
/// else changes.
let run
    (context: StageContext)
    title
    (config: RunConfig)
    (ask: Ask)
    (make: OpenDataset -> Learner)
    (images: OpenDataset)
    =
    let learner = make images
    let session = learner.Session
    use _ = session

    use batches =
        new ImageBatches(
            images.Train.Images,
            config.Training.BatchSize,
            config.Seed,
            Augmentation(config.Data.Flip, config.Data.Shift),
            0L,
            Option.toObj learner.Labels
        )

    if not session.CodebooksReady then
        use first =
            new ImageBatches(
                images.Train.Images,
                config.Training.BatchSize,
                config.Seed,
                Augmentation(config.Data.Flip, config.Data.Shift),
                0L,
                Option.toObj learner.Labels
            )

        let chosen = [| for _ in 1 .. config.Loop.InitializationBatches -> first.Next() |]
        session.InitializeCodebooks [| for batch in chosen -> batch.Pixels |]

        for batch in chosen do
            batch.Dispose()

    /// `points` are the latest first.
    let rec step (first: float option) (points: Point list) count =
        context.Cancellation.ThrowIfCancellationRequested()

        if count = ask.Steps then
            curve false (List.rev points)
        else
            let rate = rate ask count
            session.RateFactor <- rate / ask.From
            use batch = batches.Next()
            let report = session.Step batch

            context.Progress {
                Title = title
                Done = int64 count + 1L
                Total = int64 ask.Steps
                Unit = "steps"
                Loss = Some report.Loss
                ImagesPerSecond = None
            }

            if report.Skipped || not (Double.IsFinite report.Judged) then
                curve true (List.rev points)
            else
                let points = add points (rate, report.Judged)
                let latest = points.Head.Smoothed
                let first = defaultArg first latest

                if latest > divergence * first then
                    curve true (List.rev points)
                else
                    step (Some first) points (count + 1)

    step None [] 0
