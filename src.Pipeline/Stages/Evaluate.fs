/// From a trained run to its evaluation, which lands in the run's folder.
module DQ.Pipeline.Evaluate

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Evaluation
open DQ.Core.Images
open DQ.Core.Training
open DQ.Pipeline.Data
open DQ.Pipeline.Train
open FsToolkit.ErrorHandling

type EvaluatedRun = {
    Run: TrainedRun
    Evaluation: EvaluationRecord
}

/// Raised when the same input gives another output than before.
let private version = 2

/// The same settings, always the same text.
let settings (config: EvaluationConfig) =
    ConfigTree.canonical (Shape.tree (Shape.fields config))

/// Of an evaluation with these settings of this run, as far as it was trained, on the data set of this fingerprint.
let fingerprint (config: EvaluationConfig) (run: RunRecord) (dataset: string) =
    Fingerprint.ofParts [
        "evaluate"
        string version
        settings config
        run.Id
        run.Fingerprint
        string run.StepsDone
        dataset
    ]

/// The evaluation in a run's folder, if it is the one of this fingerprint.
let find fingerprint (folder: string) : EvaluationRecord option =
    let file = Path.Combine(folder, RunLayout.Evaluation)

    if not (File.Exists file) then
        None
    else
        let record = ArtifactJson.Read<EvaluationRecord> file

        if record.Fingerprint = fingerprint then
            Some record
        else
            None

/// The images of a split by its name.
let imagesOf (dataset: Dataset) split =
    match split with
    | "train" -> dataset.Train.Images
    | "validation" -> dataset.Validation.Images
    | _ -> dataset.Test.Images

/// The first images of a split in batches, reporting on the way.
let batches (context: StageContext) title (images: PackedImages) size limit =
    let total = if limit = 0 then images.Count else min limit images.Count

    seq {
        let mutable seen = 0L

        for batch in images.Batches(size, limit) do
            context.Cancellation.ThrowIfCancellationRequested()
            seen <- seen + batch.shape[0]
            yield batch

            context.Progress {
                Title = title
                Done = seen
                Total = int64 total
                Unit = "images"
                Loss = None
                ImagesPerSecond = None
            }
    }

/// Each split that has images, evaluated, and the images per second over all of them.
let private evaluateSplits
    context
    title
    (config: EvaluationConfig)
    (dataset: Dataset)
    (model: HierarchicalAutoencoder)
    frequencies
    =
    let watch = Stopwatch.StartNew()
    let splits = Dictionary<string, SplitEvaluation>()

    for name in config.Splits do
        let images = imagesOf dataset name

        if images.Count > 0 then
            let evaluator = SplitEvaluator(model, frequencies)

            for batch in batches context $"evaluate {title} on {name}" images config.BatchSize config.Limit do
                use batch = batch
                evaluator.Add batch

            splits[name] <- evaluator.Finish()

    let images = splits.Values |> Seq.sumBy _.Images
    splits, float images / watch.Elapsed.TotalSeconds

let private evaluate
    (context: StageContext)
    title
    (config: EvaluationConfig)
    fingerprint
    (run: TrainedRun)
    (held: RunLock)
    =
    result {
        let! device = Train.device context.Device
        let! file = Checkpoints.choose run.Folder config.Checkpoint
        use checkpoint = Checkpoint.Open file
        let channels = checkpoint.Spec.ImageChannels

        if run.Dataset.Record.Channels <> channels then
            return!
                Error(
                    Data
                        $"{run.Dataset.Folder}: expected images of {channels} channels for this model, found {run.Dataset.Record.Channels}; see data.image_channels"
                )

        use model = checkpoint.Model()
        TorchSharp.ModuleExtensionMethods.``to`` (model, device) |> ignore

        let frequencies =
            CodeFrequencies.Count(
                model,
                batches
                    context
                    $"count the codes of {title}"
                    run.Dataset.Train.Images
                    config.BatchSize
                    config.FrequencyImages
            )

        let splits, rate = evaluateSplits context title config run.Dataset model frequencies

        if splits.Count = 0 then
            let asked = String.Join(", ", config.Splits)
            return! Error(Data $"{run.Dataset.Folder}: expected images in {asked}, found none")

        let step = checkpoint.Progress.StepsDone
        let shown = config.Splits |> Seq.findBack splits.ContainsKey
        let pictures = imagesOf run.Dataset shown
        let samples = min config.Samples pictures.Count

        let shortened = Dictionary<string, SplitEvaluation>()

        for pair in splits do
            shortened[pair.Key] <- EvaluationRecord.WithoutHistograms pair.Value

        let record =
            EvaluationRecord(
                Fingerprint = fingerprint,
                Dataset = Path.GetFileName run.Dataset.Folder,
                Checkpoint = nonNull (Path.GetFileName file),
                Step = step,
                Parameters = model.ParameterCount,
                FrequencyImages = frequencies.Images,
                ImagesPerSecond = rate,
                Splits = shortened
            )

        let headline = Headline.Of(shown, step, splits[shown])

        return
            held.Guarded(fun () ->
                if samples > 0 then
                    Samples.write
                        (Path.Combine(run.Folder, RunLayout.Images))
                        model
                        pictures
                        shown
                        [| 0 .. samples - 1 |]
                        step

                ArtifactJson.Write(Path.Combine(run.Folder, RunLayout.Codebooks), CodebooksRecord.Of(step, splits))
                // as it is now: it may have been trained on since it was read
                let evaluated = (Store.read run.Folder).Evaluated headline
                Store.save run.Folder evaluated
                // last: where it is, the rest is whole
                ArtifactJson.Write(Path.Combine(run.Folder, RunLayout.Evaluation), record)

                {
                    Run = { run with Record = evaluated }
                    Evaluation = record
                })
    }

/// Under the run's lock, so that nobody trains or evaluates it meanwhile.
let private lockAndEvaluate (context: StageContext) title (config: EvaluationConfig) fingerprint (run: TrainedRun) =
    result {
        let! held = RunLock.Take run.Folder
        use _ = held
        return! evaluate context title config fingerprint run held
    }

let stage title (config: EvaluationConfig) : Stage<TrainedRun, EvaluatedRun> = {
    Name = $"evaluate {title}"
    Fingerprint = fun run -> Ok(fingerprint config run.Record run.Dataset.Record.Fingerprint)
    Find =
        fun _ fingerprint run ->
            find fingerprint run.Folder
            |> Option.map (fun record -> { Run = run; Evaluation = record })
            |> Ok
    Run = fun context fingerprint run -> Task.Run(fun () -> lockAndEvaluate context title config fingerprint run)
}

/// The whole way from a configuration's images: ingest, train, evaluate.
let pipeline (variant: Variant) : Stage<DataConfig, EvaluatedRun> =
    Prepare.stage
    |> Stage.andThen (Train.stage variant)
    |> Stage.andThen (stage (title variant) variant.Config.Evaluation)
