/// From a trained classifier to its numbers on whole splits, which land in the run's folder.
module DQ.Pipeline.EvaluateClassifier

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Core.Classification
open DQ.Core.Quantization
open DQ.Pipeline.Data
open DQ.Pipeline.Train
open FsToolkit.ErrorHandling

type ClassifiedRun = {
    Run: TrainedRun
    Classification: ClassificationRecord
}

/// Raised when the same input gives another output than before.
let private version = 1

/// Of an evaluation with these settings of this run, as far as it was trained, on the data set of this fingerprint.
let fingerprint (config: EvaluationConfig) (run: RunRecord) (dataset: string) =
    Fingerprint.ofParts [
        "evaluate-classifier"
        string version
        Evaluate.settings config
        run.Id
        run.Fingerprint
        string run.StepsDone
        dataset
    ]

/// The numbers in a run's folder, if they are those of this fingerprint.
let find fingerprint (folder: string) : ClassificationRecord option =
    let file = Path.Combine(folder, RunLayout.Classification)

    if not (File.Exists file) then
        None
    else
        let record = ArtifactJson.Read<ClassificationRecord> file

        if record.Fingerprint = fingerprint then
            Some record
        else
            None

let private partOf (dataset: Dataset) split =
    match split with
    | "train" -> dataset.Train
    | "validation" -> dataset.Validation
    | _ -> dataset.Test

/// An evaluator that has seen the first images of a split.
let private seen
    (context: StageContext)
    title
    (run: TrainedRun)
    model
    (frequencies: IReadOnlyList<CodeHistogram> | null)
    split
    (config: EvaluationConfig)
    limit
    =
    let part = partOf run.Dataset split

    Classify.labelsOf run.Dataset part
    |> Result.map (fun labels ->
        let evaluator = ClassifierEvaluator(model, frequencies)
        Classify.show evaluator (Evaluate.batches context title part.Images config.BatchSize limit) labels
        evaluator)

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
        use checkpoint = ClassifierCheckpoint.Open file
        use model = checkpoint.Model()
        TorchSharp.ModuleExtensionMethods.``to`` (model, device) |> ignore

        let asked = [
            for split in Seq.distinct config.Splits do
                if (partOf run.Dataset split).Images.Count > 0 then
                    split
        ]

        if asked.IsEmpty then
            let names = String.Join(", ", config.Splits)
            return! Error(Data $"{run.Dataset.Folder}: expected images in {names}, found none")

        let! counted =
            if model.CodeQuantizers.Count = 0 then
                Ok None
            else
                seen context $"count the codes of {title}" run model null "train" config config.FrequencyImages
                |> Result.map Some

        let frequencies = counted |> Option.map _.Histograms |> Option.toObj
        let watch = Stopwatch.StartNew()

        let! evaluators =
            asked
            |> List.traverseResultM (fun split ->
                seen context $"classify {split} with {title}" run model frequencies split config config.Limit
                |> Result.map (fun evaluator -> split, evaluator))

        let splits = Dictionary<string, SplitClassification>()

        for split, evaluator in evaluators do
            splits[split] <- evaluator.Finish()

        let images = splits.Values |> Seq.sumBy _.Images
        let step = checkpoint.Progress.StepsDone

        let record =
            ClassificationRecord(
                Fingerprint = fingerprint,
                Dataset = nonNull (Path.GetFileName run.Dataset.Folder),
                Checkpoint = nonNull (Path.GetFileName file),
                Step = step,
                Parameters = model.ParameterCount,
                FrequencyImages = (counted |> Option.map _.Images |> Option.defaultValue 0L),
                ImagesPerSecond = float images / watch.Elapsed.TotalSeconds,
                ClassNames = run.Dataset.Record.ClassNames,
                Splits = splits
            )

        let shown = List.last asked
        let last = splits[shown]

        let headline =
            ClassificationHeadline(shown, last.Images, step, last.Accuracy, last.BitsPerImageUniform)

        return
            held.Guarded(fun () ->
                // as it is now: it may have been trained on since it was read
                let evaluated = (Store.read run.Folder).Evaluated headline
                Store.save run.Folder evaluated
                // last: where it is, the rest is whole
                ArtifactJson.Write(Path.Combine(run.Folder, RunLayout.Classification), record)

                {
                    Run = { run with Record = evaluated }
                    Classification = record
                })
    }

/// Under the run's lock, so that nobody trains or evaluates it meanwhile.
let private lockAndEvaluate (context: StageContext) title (config: EvaluationConfig) fingerprint (run: TrainedRun) =
    result {
        let! held = RunLock.Take run.Folder
        use _ = held
        return! evaluate context title config fingerprint run held
    }

let stage title (config: EvaluationConfig) : Stage<TrainedRun, ClassifiedRun> = {
    Name = $"evaluate {title}"
    Fingerprint = fun run -> Ok(fingerprint config run.Record run.Dataset.Record.Fingerprint)
    Find =
        fun _ fingerprint run ->
            find fingerprint run.Folder
            |> Option.map (fun record -> { Run = run; Classification = record })
            |> Ok
    Run = fun context fingerprint run -> Task.Run(fun () -> lockAndEvaluate context title config fingerprint run)
}

/// The whole way from a configuration's images: ingest, train, evaluate.
let pipeline (store: Store) (variant: Variant) : Stage<DataConfig, ClassifiedRun> =
    Prepare.stage
    |> Stage.andThen (Classify.stage store variant)
    |> Stage.andThen (stage (title variant) variant.Config.Evaluation)
