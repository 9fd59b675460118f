/// Evaluates a trained run on whole splits, and writes the numbers into the run's folder.
module DQ.Pipeline.Stages.Evaluate

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Classification
open DQ.Core.Evaluation
open DQ.Core.Images
open DQ.Core.Quantization
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Data
open DQ.Pipeline.Stages.Train
open DQ.Pipeline.Stages.Evaluations
open FsToolkit.ErrorHandling

type EvaluatedRun = {
    Run: TrainedRun
    Evaluation: Evaluation
}

/// The first images of a split in batches, with reports of progress.
let batches (context: StageContext) title (images: PackedImages) size limit =
    let total = if limit = 0 then images.Count else min limit images.Count

    seq {
        let mutable seen = 0L

        for batch in images.Batches(size, limit) do
            context.Cancellation.ThrowIfCancellationRequested()
            seen <- seen + batch.shape[0]
            yield batch
            context.Progress(Report.counted title "images" seen (int64 total))
    }

/// The common inputs of evaluating both kinds of models.
type private Job = {
    Context: StageContext
    Title: string
    Config: EvaluationConfig
    Images: OpenDataset
    Device: TorchSharp.torch.Device
    /// The checkpoint's file.
    Checkpoint: string
    Fingerprint: string
}

/// The requested splits that have images.
let private splitsOf (job: Job) : Result<Split list, StageError> =
    let present =
        job.Config.Splits
        |> Seq.distinct
        |> Seq.map Split.parse
        |> Seq.filter (fun split -> (job.Images.Part split).Images.Count > 0)
        |> List.ofSeq

    if present.IsEmpty then
        let names = String.Join(", ", job.Config.Splits)
        Error(Data $"{job.Images.Folder}: expected images in {names}, found none")
    else
        Ok present

let private wrongChannels (job: Job) expected =
    Data
        $"{job.Images.Folder}: expected images of {expected} channels for this model, found {job.Images.Record.Channels}; see data.image_channels"

let private limitOf (config: EvaluationConfig) =
    if config.Limit > 0 then
        Nullable config.Limit
    else
        Nullable()

/// What an evaluation leaves: files for a folder, and the run's headline where it is the run's own.
type private Findings = {
    Evaluation: Evaluation
    Write: string -> unit
    Headline: RunRecord -> RunRecord
}

/// A record that is written last: if it exists, the other files are complete.
let private written record (headline: Headline) (write: string -> unit) = {
    Evaluation = Evaluation.Autoencoder record
    Write =
        fun folder ->
            write folder
            ArtifactJson.Write(Path.Combine(folder, RunLayout.Evaluation), record)
    Headline = _.Evaluated(headline)
}

/// An evaluator after all images of a split.
let private evaluateSplit (job: Job) model frequencies (atlas: PatchAtlas option) split =
    let evaluator = SplitEvaluator(model, frequencies, Option.toObj atlas)
    let images = (job.Images.Part split).Images
    let title = $"evaluate {job.Title} on {Split.name split}"

    for batch in batches job.Context title images job.Config.BatchSize job.Config.Limit do
        use batch = batch
        evaluator.Add batch

    evaluator

/// The code frequencies of a model on the training images.
let private countCodes (job: Job) model =
    CodeFrequencies.Count(
        model,
        batches
            job.Context
            $"count the codes of {job.Title}"
            job.Images.Train.Images
            job.Config.BatchSize
            job.Config.FrequencyImages
    )

/// The numbers of the weights after the last step, if the other numbers are for the moving average.
let private withoutAverage (job: Job) (checkpoint: Checkpoint) (present: Split list) =
    if not checkpoint.HasAverage then
        null
    else
        use model = checkpoint.TrainedModel()
        TorchSharp.ModuleExtensionMethods.``to`` (model, job.Device) |> ignore
        let frequencies = countCodes job model
        let splits = Dictionary<string, SplitEvaluation>()

        for split in present do
            splits[Split.name split] <- (evaluateSplit job model frequencies None split).Finish()

        splits

/// An autoencoder's record, and a function that writes it with the other results.
let private autoencoder (job: Job) =
    result {
        let config = job.Config
        use checkpoint = Checkpoint.Open job.Checkpoint
        let channels = checkpoint.Spec.ImageChannels

        if job.Images.Record.Channels <> channels then
            return! Error(wrongChannels job channels)

        use model = checkpoint.Model()
        TorchSharp.ModuleExtensionMethods.``to`` (model, job.Device) |> ignore

        let frequencies = countCodes job model
        let! present = splitsOf job
        let shown = List.last present
        let pictures = (job.Images.Part shown).Images

        let atlas =
            if config.AtlasPatches = 0 then
                None
            else
                Some(PatchAtlas(model, config.AtlasPatches))

        let watch = Stopwatch.StartNew()

        let evaluators = [
            for split in present do
                let atlas = if split = shown then atlas else None
                Split.name split, evaluateSplit job model frequencies atlas split
        ]

        let splits = Dictionary<string, SplitEvaluation>()

        for name, evaluator in evaluators do
            splits[name] <- evaluator.Finish()

        let images = splits.Values |> Seq.sumBy _.Images
        let rate = float images / watch.Elapsed.TotalSeconds
        let step = checkpoint.Progress.StepsDone
        let shownName = Split.name shown

        let ablated =
            let limit = int (min (int64 config.AblationImages) splits[shownName].Images)
            batches job.Context $"ablate codebooks of {job.Title}" pictures config.BatchSize limit

        let examined =
            Examine.examine
                config
                model
                step
                evaluators
                {
                    Split = shownName
                    Images = pictures
                    Evaluator = snd (List.last evaluators)
                    Atlas = atlas
                }
                ablated

        let record =
            EvaluationRecord(
                Fingerprint = job.Fingerprint,
                Dataset = job.Images.Set.Name,
                Limit = limitOf config,
                Checkpoint = nonNull (Path.GetFileName job.Checkpoint),
                Step = step,
                Parameters = model.ParameterCount,
                FrequencyImages = frequencies.Images,
                ImagesPerSecond = rate,
                Splits = splits,
                WithoutAverage = withoutAverage job checkpoint present
            )

        let headline = Headline.Of(shownName, step, splits[shownName])

        return written record headline (fun folder -> Examine.write folder examined)
    }

/// The same for a model without levels, which has no codes to count and no reconstructions to show.
let private contextHead (job: Job) =
    result {
        let config = job.Config
        use checkpoint = ContextCheckpoint.Open job.Checkpoint

        if job.Images.Record.Channels <> checkpoint.Spec.Channels then
            return! Error(wrongChannels job checkpoint.Spec.Channels)

        use head = checkpoint.Head()
        let! present = splitsOf job
        let watch = Stopwatch.StartNew()
        let splits = Dictionary<string, SplitEvaluation>()

        for split in present do
            let evaluator = ContextEvaluator head
            let title = $"evaluate {job.Title} on {Split.name split}"

            for batch in batches job.Context title (job.Images.Part split).Images config.BatchSize config.Limit do
                use batch = batch
                evaluator.Add batch

            splits[Split.name split] <- evaluator.Finish()

        let step = checkpoint.Progress.StepsDone
        let shown = Split.name (List.last present)

        let record =
            EvaluationRecord(
                Fingerprint = job.Fingerprint,
                Dataset = job.Images.Set.Name,
                Limit = limitOf config,
                Checkpoint = nonNull (Path.GetFileName job.Checkpoint),
                Step = step,
                Parameters = head.ParameterCount,
                FrequencyImages = 0L,
                ImagesPerSecond = float (splits.Values |> Seq.sumBy _.Images) / watch.Elapsed.TotalSeconds,
                Splits = splits
            )

        return written record (Headline.Of(shown, step, splits[shown])) ignore
    }

/// An evaluator after the first images of a split.
let private classifySplit (job: Job) title model (frequencies: IReadOnlyList<CodeHistogram> | null) split limit =
    let part = job.Images.Part split

    Classify.labelsOf job.Images part
    |> Result.map (fun labels ->
        let evaluator = ClassifierEvaluator(model, frequencies)
        Classify.show evaluator (batches job.Context title part.Images job.Config.BatchSize limit) labels
        evaluator)

/// A classifier's numbers on splits, and the number of training images whose codes were counted.
let private classifySplits (job: Job) (model: Classifier) (present: Split list) =
    result {
        let! counted =
            if model.CodeQuantizers.Count = 0 then
                Ok None
            else
                classifySplit job $"count the codes of {job.Title}" model null Split.Train job.Config.FrequencyImages
                |> Result.map Some

        let frequencies = counted |> Option.map _.Histograms |> Option.toObj
        let splits = Dictionary<string, SplitClassification>()

        for split in present do
            let title = $"classify {Split.name split} with {job.Title}"
            let! evaluator = classifySplit job title model frequencies split job.Config.Limit
            splits[Split.name split] <- evaluator.Finish()

        return splits, (counted |> Option.map _.Images |> Option.defaultValue 0L)
    }

/// The same for a classifier.
let private classifier (job: Job) =
    result {
        use checkpoint = ClassifierCheckpoint.Open job.Checkpoint
        use model = checkpoint.Model()
        TorchSharp.ModuleExtensionMethods.``to`` (model, job.Device) |> ignore
        let! present = splitsOf job
        let watch = Stopwatch.StartNew()
        let! splits, counted = classifySplits job model present

        let seconds = watch.Elapsed.TotalSeconds
        let images = splits.Values |> Seq.sumBy _.Images
        let step = checkpoint.Progress.StepsDone

        let! trained =
            if checkpoint.HasAverage then
                result {
                    use model = checkpoint.TrainedModel()
                    TorchSharp.ModuleExtensionMethods.``to`` (model, job.Device) |> ignore
                    let! splits, _ = classifySplits job model present
                    return Some splits
                }
            else
                Ok None

        let record =
            ClassificationRecord(
                Fingerprint = job.Fingerprint,
                Dataset = job.Images.Set.Name,
                Limit = limitOf job.Config,
                Checkpoint = nonNull (Path.GetFileName job.Checkpoint),
                Step = step,
                Parameters = model.ParameterCount,
                FrequencyImages = counted,
                ImagesPerSecond = float images / seconds,
                ClassNames = job.Images.Record.ClassNames,
                Splits = splits,
                WithoutAverage = Option.toObj trained
            )

        let shown = Split.name (List.last present)
        let last = splits[shown]

        let headline =
            ClassificationHeadline(shown, last.Images, step, last.Accuracy, last.BitsPerImageUniform)

        return {
            Evaluation = Evaluation.Classifier record
            Write = fun folder -> ArtifactJson.Write(Path.Combine(folder, RunLayout.Classification), record)
            Headline = _.Evaluated(headline)
        }
    }

let private evaluate
    title
    (config: EvaluationConfig)
    (context: StageContext)
    device
    fingerprint
    (run: TrainedRun)
    (file: RunFile)
    =
    result {
        let! checkpoint = Checkpoints.choose run.Folder config.Checkpoint
        use! images = Dataset.open' run.Dataset

        let job = {
            Context = context
            Title = title
            Config = config
            Images = images
            Device = device
            Checkpoint = checkpoint
            Fingerprint = fingerprint
        }

        let! findings =
            if run.Record.Kind = RunKind.Classify then
                classifier job
            elif CheckpointFile.KindOf checkpoint = ContextCheckpoint.KindName then
                contextHead job
            else
                autoencoder job

        if isOwn config fingerprint run.Folder file.Record run.Dataset then
            file.Guarded(fun () ->
                file.Save findings.Headline
                findings.Write run.Folder)
        else
            let folder = besideFolder config fingerprint run
            file.Guarded(fun () -> writeFolder folder findings.Write)
            context.Note $"{title}: kept beside the run's own evaluation, in {folder}"

        return {
            Run = { run with Record = file.Record }
            Evaluation = findings.Evaluation
        }
    }

/// Evaluates runs of one kind; `title` is for messages.
let stage (kind: RunKind) title (config: EvaluationConfig) : Stage<TrainedRun, EvaluatedRun> =
    StoredStage.ofResult {
        Name = $"evaluate {title}"
        Fingerprint = nameOf config
        Folder = _.Folder
        Find = find kind config
        Output = fun run evaluation -> { Run = run; Evaluation = evaluation }
        Work = evaluate title config
    }
