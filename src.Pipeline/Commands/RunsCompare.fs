/// `dq runs compare` and `dq runs config`: what sets runs apart, and what makes one again.
module DQ.Pipeline.Commands.RunsCompare

open System.IO
open System.Text.Json.Nodes
open Argu
open DQ.Core
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Numbers
open DQ.Pipeline.Storage
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type CompareArguments =
    | [<MainCommand; ExactlyOnce>] Runs of RUN: string list

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Runs _ -> "two runs or more: their names, ids or parts of them, latest or @2."

type ConfigArguments =
    | [<MainCommand; ExactlyOnce>] Run of RUN: string
    | [<Unique; AltCommandLine("-o")>] Output of FILE: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Run _ -> "a run: its name, its id or a part of it, latest or @2."
            | Output _ -> "the file to write (default: standard output)."

/// A run with its evaluation, where it has one.
type private Compared = {
    Folder: string
    Record: RunRecord
    Evaluation: EvaluationRecord option
    Classification: ClassificationRecord option
}

let private readIfThere<'record when 'record: not struct and 'record: not null and 'record :> IArtifact>
    folder
    (file: string)
    : 'record option =
    let path = Path.Combine(folder, file)

    if File.Exists path then
        Some(ArtifactJson.Read<'record> path)
    else
        None

let private find (place: Workplace) id =
    result {
        let! folder, record = Command.runNamed place id

        try
            return {
                Folder = folder
                Record = record
                Evaluation = readIfThere folder RunLayout.Evaluation
                Classification = readIfThere folder RunLayout.Classification
            }
        with :? ArtifactException as error ->
            return! Error(Data error.Message)
    }

/// Settings of which not all have the same value, each with one text per run; a dash where a run has no such setting.
let differences (configs: JsonObject list) : (string * string list) list =
    let maps = configs |> List.map (RunQuery.leaves "" >> Map)

    maps
    |> List.collect (Map.toList >> List.map fst)
    |> List.distinct
    |> List.choose (fun key ->
        let values = [
            for map in maps ->
                match map.TryFind key with
                | Some value -> RunQuery.text value
                | None -> "–"
        ]

        if List.length (List.distinct values) > 1 then
            Some(key, values)
        else
            None)

let private facts: (string * (Compared -> string)) list = [
    "status", (fun run -> Store.status run.Folder run.Record)
    "kind", (fun run -> run.Record.Kind.Name())
    "steps", (fun run -> $"{run.Record.StepsDone}/{run.Record.Steps}")
    "data set",
    (fun run ->
        run.Record.Parents
        |> Seq.tryFind (fun parent -> parent.Kind = "dataset")
        |> Option.map _.Id
        |> Option.defaultValue "–")
    "parameters",
    (fun run ->
        run.Record.Trained
        |> Option.ofObj
        |> Option.bind (fun trained -> Option.ofNullable trained.Parameters)
        |> Option.map counted
        |> Option.defaultValue "–")
    "training, s",
    (fun run ->
        match run.Record.Trained with
        | null -> "–"
        | trained -> number "F0" trained.Seconds)
    "training, images/s",
    (fun run ->
        match run.Record.Trained with
        | null -> "–"
        | trained -> optional "F1" trained.ImagesPerSecond)
    "last validation", (fun run -> Summary.validation run.Record)
]

let compare (place: Workplace) (arguments: ParseResults<CompareArguments>) =
    result {
        let! runs =
            match arguments.GetResult Runs with
            | []
            | [ _ ] -> Error(Usage "dq runs compare: expected two runs or more")
            | ids -> ids |> List.traverseResultM (find place)

        let settings = differences [ for run in runs -> run.Record.Config ]

        let numbers = [
            for label, show in facts -> label, List.map show runs
            yield! Summary.rows (runs |> List.map _.Evaluation) (runs |> List.map _.Classification)
        ]

        let table rows =
            Table.render Table.Left [ for label, cells in rows -> label :: cells ]

        let heading = "", [ for run in runs -> run.Record.Id ]

        let text =
            (if settings.IsEmpty then
                 "no setting differs\n"
             else
                 table (heading :: settings))
            + "\n"
            + table (heading :: numbers)

        place.Output.Result(
            text,
            {|
                Runs = [ for run in runs -> run.Record.Id ]
                Settings = [ for key, values in settings -> {| Key = key; Values = values |} ]
                Numbers = [ for label, values in numbers -> {| Name = label; Values = values |} ]
            |}
        )
    }

/// The settings that make a run again; a phase of a chain starts from the run before it.
let private remade (record: RunRecord) =
    let tree = record.Config.DeepClone().AsObject()

    let before =
        record.Parents
        |> Seq.tryFind (fun parent -> parent.Kind = "run" && record.Kind = RunKind.Train)

    match before, tree["training"] with
    | Some before, (:? JsonObject as training) when isNull training["start_from"] && isNull training["continue_from"] ->
        training["start_from"] <- JsonValue.Create before.Id
        tree, [ $"a phase of a chain: its first weights are those of {before.Id}" ]
    | _ -> tree, []

let config (place: Workplace) (arguments: ParseResults<ConfigArguments>) =
    result {
        let! _, record = Command.runNamed place (arguments.GetResult ConfigArguments.Run)

        let tree, notes = remade record

        let command =
            match record.Kind with
            | RunKind.Train -> "dq run FILE makes it again"
            | RunKind.Classify -> "dq classify FILE makes it again"
            | RunKind.Prior -> "dq prior FILE makes it again"
            | kind -> $"settings of dq {kind.Name()}; its weights or network are not in them"

        let heading = [
            $"The settings of run {record.Id}, made by dq {record.Software.Dq}; {command}."
            yield! notes
        ]

        let text =
            [
                for line in heading do
                    $"// {line}"
                tree.ToJsonString ArtifactJson.Options
            ]
            |> List.map (fun line -> line + "\n")
            |> String.concat ""

        match arguments.TryGetResult Output with
        | None -> place.Output.Result(text, tree)
        | Some file ->
            AtomicFile.Write(file, fun stream -> stream.Write(System.Text.Encoding.UTF8.GetBytes text))
            place.Output.Result($"{record.Id} → {file}\n", {| Id = record.Id; File = file |})
    }
