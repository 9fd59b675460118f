/// `dq runs`: what is in the store.
module DQ.Pipeline.Commands.Runs

open System
open System.Collections.Generic
open System.Globalization
open System.IO
open System.Threading.Tasks
open Argu
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open DQ.Pipeline.Numbers
open FsToolkit.ErrorHandling

type ShowArguments =
    | [<MainCommand; ExactlyOnce>] Run of RUN: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Run _ -> "a run: its name, its id or a part of it, latest or @2."

let private statuses = [ "running"; "completed"; "failed"; "interrupted" ]

let private kinds = [ "train"; "classify"; "import"; "density"; "intervals"; "allocate"; "prior" ]

type ListArguments =
    | Archived
    | [<Unique>] Status of STATUS: string
    | [<Unique>] Kind of KIND: string
    | [<Unique>] Name of TEXT: string
    | Tag of TAG: string
    | Where of CONDITION: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Archived -> "the archived ones too."
            | Status _ -> "only those that are running, completed, failed or interrupted."
            | Kind _ -> "only those of one stage: train, classify, import, density, intervals, allocate or prior."
            | Name _ -> "only those whose name, with its variant, contains the text."
            | Tag _ -> "only those with this tag; may be given several times."
            | Where _ ->
                "only those whose run.json meets a condition, such as training.steps>=500 or model.quantizer.kind=vector; may be given several times."

type TagArguments =
    | [<MainCommand; ExactlyOnce>] Run of RUN: string
    | Add of TAG: string list
    | Remove of TAG: string list

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Run _ -> "a run: its name, its id or a part of it, latest or @2."
            | Add _ -> "tags to give it."
            | Remove _ -> "tags to take from it."

type NoteArguments =
    | [<MainCommand; ExactlyOnce>] Run of RUN: string
    | [<ExactlyOnce>] Text of TEXT: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Run _ -> "a run: its name, its id or a part of it, latest or @2."
            | Text _ -> "the note in place of the one before; empty for none."

type ArchiveArguments =
    | [<MainCommand; ExactlyOnce>] Run of RUN: string
    | Undo

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Run _ -> "a run: its name, its id or a part of it, latest or @2."
            | Undo -> "list it again."

[<CliPrefix(CliPrefix.None)>]
type Arguments =
    | List of ParseResults<ListArguments>
    | Show of ParseResults<ShowArguments>
    | Tag of ParseResults<TagArguments>
    | Note of ParseResults<NoteArguments>
    | Archive of ParseResults<ArchiveArguments>
    | Compare of ParseResults<RunsCompare.CompareArguments>
    | Config of ParseResults<RunsCompare.ConfigArguments>
    | Export of ParseResults<RunsExport.ExportArguments>
    | Delete of ParseResults<RunsDelete.DeleteArguments>
    | Disk of ParseResults<RunsDelete.DiskArguments>

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | List _ -> "all runs, the latest first."
            | Show _ -> "one run: settings, state, numbers."
            | Tag _ -> "tags of a run, which the site shows and filters by."
            | Note _ -> "a note on a run, which the site shows."
            | Archive _ -> "leaves a run out of lists; nothing is deleted."
            | Compare _ -> "settings that differ between runs, and their numbers side by side."
            | Config _ -> "a configuration file that makes a run again."
            | Export _ -> "the numbers of training as TensorBoard event files or CSV."
            | Delete _ -> "deletes runs from the disk."
            | Disk _ -> "what runs, data sets, chains and sweeps take on the disk."

let example =
    "dq runs list\n  dq runs show quickstart-dq\n  dq runs tag quickstart-dq --add baseline\n  dq runs note quickstart-dq --text 'the one in the paper'\n  dq runs archive quickstart-vq\n  dq runs list --status completed --where 'training.steps>=500'\n  dq runs compare quickstart-dq quickstart-vq\n  dq runs export quickstart-dq --format tensorboard -o tensorboard\n  dq runs delete quickstart-vq --dry-run"

/// What is said of runs is in a file that the site shares; the runs stay as they are.
let private annotated (work: unit -> 'a) : Result<'a, StageError> =
    try
        Ok(work ())
    with
    | :? System.ArgumentException as error -> Error(Usage error.Message)
    | :? ArtifactException as error -> Error(Data error.Message)
    | :? IOException
    | :? UnauthorizedAccessException as error -> Error(Storage error.Message)

let private annotate (place: Workplace) (store: Store) archived id (change: RunAnnotation -> RunAnnotation) =
    result {
        let! folder, record = Store.findAmong store place.Output.Note archived id
        let run = nonNull (Path.GetFileName folder)
        let! annotation = annotated (fun () -> Annotations.Change(store.Root, run, change))
        let tags = String.concat ", " annotation.Tags

        let text =
            Table.render Table.Left [
                [ "id"; record.Id ]
                [ "tags"; (if tags = "" then "–" else tags) ]
                [ "note"; (if annotation.Note = "" then "–" else annotation.Note) ]
                [ "archived"; (if annotation.Archived then "yes" else "no") ]
            ]

        place.Output.Result(
            text,
            {|
                Id = record.Id
                Annotation = annotation
            |}
        )
    }

/// An error where an option has another value than these.
let private oneOf option (known: string list) (value: string option) : Result<unit, StageError> =
    match value with
    | Some value when not (List.contains value known) ->
        let names = String.concat ", " known
        Error(Usage $"--{option} {value}: expected one of {names}")
    | _ -> Ok()

/// Which runs the command line asks for; every condition has to name something that some run has.
let private chosen
    (arguments: ParseResults<ListArguments>)
    (annotations: IReadOnlyDictionary<string, RunAnnotation>)
    runs
    =
    result {
        do! oneOf "status" statuses (arguments.TryGetResult ListArguments.Status)
        do! oneOf "kind" kinds (arguments.TryGetResult ListArguments.Kind)
        let! conditions = arguments.GetResults Where |> List.traverseResultM RunQuery.parse

        let conditions: RunQuery.Condition list = [
            for key, value in
                [
                    "status", arguments.TryGetResult ListArguments.Status
                    "kind", arguments.TryGetResult ListArguments.Kind
                ] do
                for value in Option.toList value do
                    {
                        RunQuery.Condition.Key = key
                        RunQuery.Condition.Comparison = "="
                        RunQuery.Condition.Value = value
                    }
            yield! conditions
        ]

        let known = [ for folder, record in runs -> folder, record, RunQuery.facts folder record ]

        let isUnknown (condition: RunQuery.Condition) =
            not known.IsEmpty
            && known
               |> List.forall (fun (_, _, facts) -> not (facts.ContainsKey condition.Key))

        match conditions |> List.tryFind isUnknown with
        | Some condition ->
            return!
                Error(
                    Usage
                        $"--where {condition.Key}{condition.Comparison}{condition.Value}: no run has '{condition.Key}'; keys are those of run.json, settings without 'config.'"
                )
        | None -> ()

        let isTagged (record: RunRecord) tag =
            match annotations.TryGetValue record.Id with
            | true, annotation -> Seq.contains tag annotation.Tags
            | _ -> false

        let isNamed (record: RunRecord) =
            arguments.TryGetResult ListArguments.Name
            |> Option.forall (fun text ->
                (StoredStage.titleOf record.Name record.Variant).Contains(text, StringComparison.OrdinalIgnoreCase))

        return [
            for folder, record, facts in known do
                if
                    isNamed record
                    && arguments.GetResults ListArguments.Tag |> List.forall (isTagged record)
                    && conditions |> List.forall (RunQuery.meets facts)
                then
                    folder, record
        ]
    }

let private list (place: Workplace) (store: Store) (arguments: ParseResults<ListArguments>) =
    result {
        let all = arguments.Contains Archived
        let! annotations = annotated (fun () -> Annotations.Read store.Root)

        let archived (run: StoredRun) =
            match annotations.TryGetValue(nonNull (Path.GetFileName run.Folder)) with
            | true, annotation -> annotation.Archived
            | _ -> false

        let runs = Store.list store |> List.filter (fun run -> all || not (archived run))

        let! known =
            chosen arguments annotations [
                for run in runs do
                    match run.Record with
                    | Ok record -> run.Folder, record
                    | Error _ -> ()
            ]

        for run in runs do
            match run.Record with
            | Error message -> place.Output.Note message
            | Ok _ -> ()

        let text =
            if known.IsEmpty then
                let which = if runs.IsEmpty then "" else " of these"
                $"no runs{which} in {Store.runs store}\n"
            else
                Table.render Table.Left [
                    [ "id"; "status"; "steps"; "validation" ]
                    for folder, record in known do
                        [
                            record.Id
                            Store.status folder record
                            $"{record.StepsDone}/{record.Steps}"
                            Summary.validation record
                        ]
                ]

        let data = [
            for folder, record in known ->
                {|
                    Id = record.Id
                    Folder = folder
                    Status = Store.status folder record
                    StepsDone = record.StepsDone
                    Steps = record.Steps
                    ValidationReconstructionNatsPerDim = Summary.validationNatsPerDim record
                    ValidationSquaredError = Summary.validationSquaredError record
                |}
        ]

        place.Output.Result(text, {| Runs = data |})
    }

/// An evaluation beside the run's own, in one line: on what, and the first number of its last split.
let private besideRow (evaluation: Evaluations.Evaluation) =
    let on (dataset: string | null) (limit: Nullable<int>) =
        let images = dataset |> Option.ofObj |> Option.defaultValue "–"

        if limit.HasValue then
            $"{images}, first {limit.Value}"
        else
            images

    match evaluation with
    | Evaluations.Evaluation.Autoencoder record ->
        let split = record.Splits |> Seq.last

        [
            "also evaluated on"
            $"""{on record.Dataset record.Limit}: {split.Key} {optional "F4" split.Value.ReconstructionNatsPerDim} nats/dim, PSNR {optional "F2" split.Value.PsnrDb} dB"""
        ]
    | Evaluations.Evaluation.Classifier record ->
        let split = record.Splits |> Seq.last

        [
            "also evaluated on"
            $"""{on record.Dataset record.Limit}: {split.Key} accuracy {number "P1" split.Value.Accuracy}"""
        ]

let private evaluationData (evaluation: Evaluations.Evaluation) : obj =
    match evaluation with
    | Evaluations.Evaluation.Autoencoder record -> record
    | Evaluations.Evaluation.Classifier record -> record

let private show (place: Workplace) id =
    result {
        let! folder, record = Command.runNamed place id

        let! evaluation, others =
            try
                Ok(Evaluations.inFolder folder, Evaluations.beside folder)
            with :? ArtifactException as error ->
                Error(Data error.Message)

        let given (value: string | null) =
            value |> Option.ofObj |> Option.defaultValue "–"

        let text =
            Table.render Table.Left [
                [ "id"; record.Id ]
                [ "folder"; folder ]
                [ "status"; Store.status folder record ]
                [ "reason"; given record.Reason ]
                [ "steps"; $"{record.StepsDone}/{record.Steps}" ]
                match record.Trained with
                | null -> ()
                | trained ->
                    [ "images seen"; string trained.ImagesSeen ]

                    [
                        "training time"
                        TimeSpan.FromSeconds(Math.Round trained.Seconds).ToString "c"
                    ]

                    [
                        "parameters"
                        trained.Parameters
                        |> Option.ofNullable
                        |> Option.map counted
                        |> Option.defaultValue "–"
                    ]
                for note in record.Notes do
                    [ "note"; note ]

                [ "validation"; Summary.validation record ]
                [ "seed"; string record.Seed ]
                [ "device"; $"{record.Device}, {record.Threads} threads" ]
                [ "started"; record.StartedUtc.ToString "u" ]
                for parent in record.Parents do
                    [ parent.Kind; parent.Id ]
                for other in others do
                    besideRow other
            ]

        let numbers =
            match evaluation with
            | Some(Evaluations.Evaluation.Autoencoder record) -> Summary.ofEvaluation record
            | _ -> ""

        place.Output.Result(
            text + numbers,
            {|
                Folder = folder
                Status = Store.status folder record
                Run = record
                Evaluation = evaluation |> Option.map evaluationData |> Option.toObj
                OtherEvaluations = others |> List.map evaluationData
            |}
        )
    }

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    let store = Workplace.store place

    match arguments.GetSubCommand() with
    | List list' -> list place store list'
    | Show show' -> show place (show'.GetResult ShowArguments.Run)
    | Tag tag ->
        annotate
            place
            store
            false
            (tag.GetResult TagArguments.Run)
            _.Tagged(tag.GetResult(Add, []), tag.GetResult(Remove, []))
    | Note note -> annotate place store false (note.GetResult NoteArguments.Run) _.Noted(note.GetResult Text)
    | Compare compare -> RunsCompare.compare place compare
    | Config config -> RunsCompare.config place config
    | Export export -> RunsExport.export place export
    | Delete delete -> RunsDelete.delete place delete
    | Disk disk -> RunsDelete.disk place disk
    | Archive archive ->
        let undo = archive.Contains Undo
        annotate place store undo (archive.GetResult ArchiveArguments.Run) _.Filed(not undo)
    |> Task.FromResult
