/// The evaluations that a run's folder keeps: their names, and where they lie.
module DQ.Pipeline.Stages.Evaluations

open System.IO
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Data
open DQ.Pipeline.Stages.Train

/// The numbers of a model.
[<RequireQualifiedAccess>]
type Evaluation =
    | Autoencoder of EvaluationRecord
    | Classifier of ClassificationRecord

    /// Fingerprint of the run, its data and the evaluation's settings.
    member this.Fingerprint =
        match this with
        | Autoencoder record -> record.Fingerprint
        | Classifier record -> record.Fingerprint

/// The same settings always give the same text.
let settings (config: EvaluationConfig) =
    ConfigTree.canonical (Shape.tree (Shape.fields config))

/// Raised when the same input gives another output than before.
let private version = 4

/// The name of the evaluation of what these parts name.
let nameOf (config: EvaluationConfig) (parts: string list) =
    Fingerprint.ofParts [ "evaluate"; string version; settings config; yield! parts ]

/// The name of evaluations made before version 0.2.0.
let formerFingerprint (config: EvaluationConfig) kind (run: RunRecord) (dataset: string) =
    let name, version =
        if kind = RunKind.Classify then
            "evaluate-classifier", 1
        else
            "evaluate", 3

    Fingerprint.ofParts [
        name
        string version
        settings config
        run.Id
        run.Fingerprint
        string run.StepsDone
        dataset
    ]

/// The name of a run that is evaluated on a data set. It depends on the trained steps, and on a data set that is not
/// the run's own.
let subjectName (run: RunRecord) (dataset: Fingerprint) =
    let isOwn =
        match dataset with
        | Fingerprint.Of name -> run.Parents |> Seq.exists (fun parent -> parent.Fingerprint = name)
        | _ -> false

    Fingerprint.All [
        Fingerprint.Of run.Fingerprint
        // a run that stopped early is complete
        if run.Status <> RunStatus.Completed && run.StepsDone < run.Steps then
            Fingerprint.Of $"step {run.StepsDone}"
        if not isOwn then
            dataset
    ]

/// A run to evaluate on a data set, with the steps trained so far.
let subject folder (run: RunRecord) (dataset: Dataset) : Artifact<TrainedRun> = {
    Fingerprint = subjectName run (Fingerprint.Of dataset.Record.Fingerprint)
    Value = {
        Folder = folder
        Record = run
        Dataset = dataset
    }
}

let private readIfThere<'record when 'record: not struct and 'record: not null and 'record :> IArtifact>
    (folder: string)
    (file: string)
    =
    let path = Path.Combine(folder, file)

    if File.Exists path then
        Some(ArtifactJson.Read<'record> path)
    else
        None

/// Whether an evaluation is the run's own: of its own images, as its configuration says. A run without images, such as an
/// imported one, has the first one that was made of it.
let isOwn (config: EvaluationConfig) fingerprint (folder: string) (run: RunRecord) (dataset: Dataset) =
    match run.Parents |> Seq.tryFind (fun parent -> parent.Kind = "dataset") with
    | Some images ->
        let recorded =
            ConfigTree.mergeObjects Settings.allDefaults run.Config |> Config.ofTree

        images.Fingerprint = dataset.Record.Fingerprint
        && settings config = settings recorded.Evaluation
    | None ->
        readIfThere<EvaluationRecord> folder RunLayout.Evaluation
        |> Option.forall (fun first -> first.Fingerprint = fingerprint)

/// The folder of an evaluation beside the run's own.
let besideFolder (config: EvaluationConfig) (fingerprint: string) (run: TrainedRun) =
    let first = if config.Limit > 0 then $"-first-{config.Limit}" else ""
    Path.Combine(run.Folder, RunLayout.Evaluations, $"{run.Dataset.Name}{first}-{fingerprint[..7]}")

/// Writes a folder that is there whole or not at all.
let writeFolder (folder: string) (write: string -> unit) =
    let temporary = folder + ".tmp"

    for left in [ temporary; folder ] do
        if Directory.Exists left then
            Directory.Delete(left, true)

    Directory.CreateDirectory temporary |> ignore
    write temporary
    Directory.Move(temporary, folder)

/// The folders of a run that may hold an evaluation, its own first.
let private folders (folder: string) : string list = [
    folder
    let beside = Path.Combine(folder, RunLayout.Evaluations)

    if Directory.Exists beside then
        for one in Directory.GetDirectories beside |> Array.sort do
            if not (one.EndsWith ".tmp") then
                one
]

/// The evaluation in a folder, a run's own in the run's; an `ArtifactException` where it can't be read.
let inFolder (folder: string) : Evaluation option =
    readIfThere<EvaluationRecord> folder RunLayout.Evaluation
    |> Option.map Evaluation.Autoencoder
    |> Option.orElseWith (fun () ->
        readIfThere<ClassificationRecord> folder RunLayout.Classification
        |> Option.map Evaluation.Classifier)

/// The evaluations beside it, with other settings or on other images.
let beside (folder: string) : Evaluation list =
    folders folder |> List.tail |> List.choose inFolder

/// The evaluation in a run's folder, if there is the one of this fingerprint.
let find (kind: RunKind) (config: EvaluationConfig) fingerprint (folder: string) : Evaluation option =
    // made before version 0.2.0, and for the requested data set
    let isFormer (recorded: string) =
        let record = Store.read folder

        record.Parents
        |> Seq.exists (fun parent ->
            recorded = formerFingerprint config kind record parent.Fingerprint
            && Fingerprint.parts (subjectName record (Fingerprint.Of parent.Fingerprint))
               |> Option.exists (fun parts -> nameOf config parts = fingerprint))

    let isIt (recorded: string) =
        recorded = fingerprint || isFormer recorded

    let isOfKind evaluation =
        match evaluation with
        | Evaluation.Autoencoder record -> kind <> RunKind.Classify && isIt record.Fingerprint
        | Evaluation.Classifier record -> kind = RunKind.Classify && isIt record.Fingerprint

    folders folder |> List.tryPick (inFolder >> Option.filter isOfKind)
