/// The training loop of one run: steps, and between them lines, validations, pictures and checkpoints. Resumed from a
/// checkpoint it does exactly the same as an undisturbed loop; only times differ.
module DQ.Pipeline.Training.Loop

open System
open System.Diagnostics
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages
open DQ.Pipeline.Data

/// The inputs of a loop.
type Job = {
    Title: string
    Config: RunConfig
    Dataset: OpenDataset
    Context: StageContext
    Learner: Learner
    /// The step at which this run continued another's training; 0 if it began with new training.
    Since: int64
    /// The lock under which all files are written.
    Run: RunFile
}

let private batchesFrom job step =
    let data = job.Config.Data

    new ImageBatches(
        job.Dataset.Train.Images,
        job.Config.Training.BatchSize,
        job.Config.Seed,
        Augmentation(data.Flip, data.Shift),
        step,
        Option.toObj job.Learner.Labels,
        job.Learner.Session.Places
    )

let private multiple (every: int64) (step: int64) = every > 0L && step % every = 0L

/// A picture of validation images and their present reconstructions.
let private sample job =
    let count = min job.Config.Loop.Samples job.Dataset.Validation.Images.Count

    if count > 0 then
        Path.Combine(job.Run.Folder, RunLayout.Images, RunLayout.Steps, $"{job.Learner.Session.StepsDone:D8}")
        |> fun folder -> job.Learner.Session.Judged(fun () -> job.Learner.Sample count folder)

/// Chooses the first codes by k-means from the first training batches.
let private initialize job =
    let session = job.Learner.Session

    if not session.CodebooksReady then
        job.Context.Note $"{job.Title}: choosing the first codes by k-means"
        use batches = batchesFrom job 0L
        let first = [| for _ in 1 .. job.Config.Loop.InitializationBatches -> batches.Next() |]
        session.InitializeCodebooks [| for batch in first -> batch.Pixels |]

        for batch in first do
            batch.Dispose()

/// The newest checkpoint that is whole, and what the leader found wrong with later ones.
let private newest job =
    let mutable damaged = []

    Stage.fromLeader job.Context (fun () ->
        let state, problems = Checkpoints.newestWhole job.Run.Folder
        damaged <- problems
        Ok state)
    |> Result.map (fun state -> state, damaged)

/// Trains from the newest checkpoint.
let private runFrom (job: Job) (resumed: LoopState option, damaged: string list) : Result<LoopState, StageError> =
    let config = job.Config
    let loop = config.Loop
    let learner = job.Learner
    let session = learner.Session
    let images = job.Dataset.Train.Images
    let grids = session.Objective.Grids(images.Height, images.Width)
    let codes = [ for grid in grids -> grid.CodeCount ]

    let vectors = [
        for grid in grids -> int64 config.Training.BatchSize * int64 grid.Height * int64 grid.Width
    ]

    let codebooks = if grids.Count = 0 then 0 else grids[0].Codebooks

    let start = resumed |> Option.defaultValue (LoopState.start grids.Count codebooks)

    use journal = new Journal(job.Run, start)

    /// run.json at this state.
    let record state =
        job.Run.Save(Criterion.reached learner.Criterion state)

    let isRegular = LoopState.isRegular loop config.Training.Steps

    if not damaged.IsEmpty then
        job.Run.Guarded(fun () -> Checkpoints.dropAfter job.Run.Folder (if resumed.IsSome then start.Step else -1L))

        for problem in damaged do
            let event = Events.checkpointDamaged start.Step problem
            journal.Event event
            job.Context.Note $"{job.Title}: {event.Message}"

    let restore (state: LoopState) =
        if job.Context.Team.Leads then
            session.Restore(Checkpoints.weights job.Run.Folder state.Step)
            // the state has the number of times that training went back; the tensors are older
            session.RateFactor <- LoopState.rateFactor loop state

        session.Align()

    Option.iter restore resumed
    let mutable batches = batchesFrom job start.Step

    let checkpoint (state: LoopState) =
        let state = journal.Mark state

        job.Run.Guarded(fun () ->
            Checkpoints.save job.Run.Folder loop.Keep isRegular session state
            record state)

    /// A line of metrics for the window so far, and the events of the codebooks.
    let log (state: LoopState) =
        let line =
            Criterion.line
                learner.Criterion
                "train"
                state.Step
                state.ImagesSeen
                state.Seconds
                (Window.judged state.Window)
                None
            |> Window.line state.Window

        journal.Metrics line

        let flags, seen =
            CodebookWatch.look loop config.Model.Quantizer codes vectors state.Step state.Window state.Codebooks

        for event in seen do
            journal.Event event

        for kind, several in seen |> List.groupBy _.Kind do
            let where =
                [ for event in several -> $"{event.Level}.{event.Codebook}" ]
                |> String.concat ", "

            let what = kind.Replace('_', ' ')
            job.Context.Note $"{job.Title}: step {state.Step}: {what} (level.codebook {where}; see {RunLayout.Events})"

        {
            state with
                Window = Window.empty grids.Count codebooks
                Codebooks = flags
        }

    let validate (state: LoopState) =
        let limit = min loop.ValidationImages job.Dataset.Validation.Images.Count

        if limit = 0 then
            state
        else
            let seen =
                session.Judged(fun () -> learner.Validate limit)
                |> Validated.ofLeader job.Context.Team

            // JSON has no infinity; the steps decide whether to go back
            let loss =
                if Double.IsFinite seen.Loss then
                    Some seen.Loss
                else
                    journal.Event(Events.validationNotFinite state.Step seen.Loss)
                    None

            Criterion.line learner.Criterion "validation" state.Step state.ImagesSeen state.Seconds loss (Some seen)
            |> journal.Metrics

            let best, state = LoopState.validated loss state

            if best then
                job.Run.Guarded(fun () -> Checkpoints.saveBest job.Run.Folder session)

            state

    let step (state: LoopState) =
        let watch = Stopwatch.StartNew()
        use batch = batches.Next()
        let report = session.Step batch
        let seconds = watch.Elapsed.TotalSeconds

        if report.Skipped then
            journal.Event(Events.skipped report)

        let window = Window.add (int64 batch.Images) seconds report state.Window

        job.Context.Progress {
            Title = job.Title
            Done = report.Step
            Total = config.Training.Steps
            Unit = "steps"
            Loss = Some report.Loss
            ImagesPerSecond = Some(float window.Images / window.Seconds)
        }

        {
            state with
                Step = session.StepsDone
                ImagesSeen = session.ImagesSeen
                Seconds = state.Seconds + seconds
                Window = window
                SkippedInARow = if report.Skipped then state.SkippedInARow + 1 else 0
        }

    let stopsEarly = LoopState.stopsEarly loop job.Since

    /// Says so; the lines of metrics go up to this step.
    let stopEarly (state: LoopState) =
        let event =
            Events.stoppedEarly state.Step (Option.defaultValue 0L state.BestStep) loop.EarlyStopping

        journal.Event event
        job.Context.Note $"{job.Title}: step {state.Step}: {event.Message}"
        job.Run.Save(_.Noted(event.Message))

        if Window.isEmpty state.Window then state else log state

    /// The work after a step.
    let after (state: LoopState) =
        let last = state.Step = config.Training.Steps
        let due every = last || multiple every state.Step
        let state = if due loop.LogEvery then log state else state
        let state = if due loop.ValidateEvery then validate state else state
        let early = not last && stopsEarly state
        let state = if early then stopEarly state else state

        if loop.SampleEvery > 0L && (early || due loop.SampleEvery) then
            job.Run.Guarded(fun () -> sample job)

        // the last checkpoint also after a skipped step, which did not change the model
        if last || early || isRegular state then
            checkpoint state

        state

    /// Goes back to the last good checkpoint with a lower learning rate; None if this was tried often enough. A
    /// checkpoint made directly after the last step that was not skipped may contain that step's error. Then the
    /// checkpoint before it is used, if there is one.
    let fallBack (state: LoopState) =
        let learned = state.Step - int64 state.SkippedInARow
        let isGood (other: LoopState) = isRegular other && other.Step < learned

        let find () =
            Checkpoints.latestWhere job.Run.Folder isGood
            |> Option.orElse (Checkpoints.latestWhere job.Run.Folder isRegular)
            |> Ok

        match Stage.fromLeader job.Context find with
        | Ok(Some good) when state.Fallbacks < loop.Fallbacks ->
            let failedAt = state.Step

            let state = {
                good with
                    Fallbacks = state.Fallbacks + 1
            }

            restore state
            batches.Dispose()
            batches <- batchesFrom job good.Step

            let event = Events.fellBack failedAt loop.SkipLimit good.Step session.RateFactor

            journal.Event event
            job.Context.Note $"{job.Title}: {event.Message}"

            let state = {
                journal.Mark state with
                    MetricsBytes = good.MetricsBytes
            }

            job.Run.Guarded(fun () ->
                Checkpoints.goBack job.Run.Folder state
                journal.CutMetrics state
                record state)

            Ok(Some state)
        | Ok _ -> Ok None
        | Error error -> Error error

    let rec advance (state: LoopState) =
        if state.SkippedInARow >= loop.SkipLimit then
            match fallBack state with
            | Error error -> Error error
            | Ok(Some state) -> advance state
            | Ok None ->
                job.Context.Team.Concur(

                    Numerical
                        $"{job.Title}: {state.SkippedInARow} steps in a row were skipped up to step {state.Step} (see {RunLayout.Events}), after going back {loop.Fallbacks} times; the last good checkpoint is in {job.Run.Folder}; try a lower training.learning_rate or training.clip_norm"
                )
        elif state.Step >= config.Training.Steps || stopsEarly state then
            Ok state
        else
            match job.Context.Stopping() with
            | Some reason ->
                checkpoint state
                Error reason
            | None -> advance (after (step state))

    try
        if resumed.IsNone then
            session.Align()
            initialize job
            checkpoint start
        else
            job.Context.Note $"{job.Title}: going on from step {start.Step}"
            let before = Checkpoints.progress job.Run.Folder start.Step

            Events.resumedElsewhere start.Step before session.Progress
            |> Option.iter journal.Event

        advance start
    finally
        batches.Dispose()

/// Trains to the last step, or until stopped.
let run (job: Job) : Result<LoopState, StageError> = newest job |> Result.bind (runFrom job)
