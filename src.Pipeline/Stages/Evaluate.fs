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
let private version = 3

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

/// An evaluator that has seen a split.
let private evaluateSplit
    context
    title
    (config: EvaluationConfig)
    model
    frequencies
    (atlas: PatchAtlas option)
    name
    images
    =
    let evaluator = SplitEvaluator(model, frequencies, Option.toObj atlas)

    for batch in batches context $"evaluate {title} on {name}" images config.BatchSize config.Limit do
        use batch = batch
        evaluator.Add batch

    evaluator

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

        let asked = [
            for name in Seq.distinct config.Splits do
                let images = imagesOf run.Dataset name

                if images.Count > 0 then
                    name, images
        ]

        if asked.IsEmpty then
            let names = String.Join(", ", config.Splits)
            return! Error(Data $"{run.Dataset.Folder}: expected images in {names}, found none")

        let shown, pictures = List.last asked

        let atlas =
            if config.AtlasPatches = 0 then
                None
            else
                Some(PatchAtlas(model, config.AtlasPatches))

        let watch = Stopwatch.StartNew()

        let evaluators = [
            for name, images in asked ->
                let atlas = if name = shown then atlas else None
                name, evaluateSplit context title config model frequencies atlas name images
        ]

        let splits = Dictionary<string, SplitEvaluation>()

        for name, evaluator in evaluators do
            splits[name] <- evaluator.Finish()

        let images = splits.Values |> Seq.sumBy _.Images
        let rate = float images / watch.Elapsed.TotalSeconds
        let step = checkpoint.Progress.StepsDone

        let ablated =
            let limit = int (min (int64 config.AblationImages) splits[shown].Images)
            batches context $"ablate codebooks of {title}" pictures config.BatchSize limit

        let examined =
            Examine.examine
                config
                model
                step
                evaluators
                {
                    Split = shown
                    Images = pictures
                    Evaluator = snd (List.last evaluators)
                    Atlas = atlas
                }
                ablated

        let record =
            EvaluationRecord(
                Fingerprint = fingerprint,
                Dataset = Path.GetFileName run.Dataset.Folder,
                Checkpoint = nonNull (Path.GetFileName file),
                Step = step,
                Parameters = model.ParameterCount,
                FrequencyImages = frequencies.Images,
                ImagesPerSecond = rate,
                Splits = splits
            )

        let headline = Headline.Of(shown, step, splits[shown])

        return
            held.Guarded(fun () ->
                Examine.write run.Folder examined
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
