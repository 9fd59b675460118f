/// `dq runs`: what is in the store.
module DQ.Pipeline.Commands.Runs

open System
open System.Globalization
open System.IO
open System.Threading.Tasks
open Argu
open DQ.Core.Artifacts
open DQ.Pipeline
open FsToolkit.ErrorHandling

type ShowArguments =
    | [<MainCommand; ExactlyOnce>] Run of RUN: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Run _ -> "id of a run, or a part of it that fits only one."

[<CliPrefix(CliPrefix.None)>]
type Arguments =
    | [<SubCommand>] List
    | Show of ParseResults<ShowArguments>

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | List -> "all runs, the latest first."
            | Show _ -> "one run: settings, state, numbers."

let example = "dq runs list\n  dq runs show quickstart-dq"

let private validation (record: RunRecord) =
    let number (value: float) =
        value.ToString("F4", CultureInfo.InvariantCulture)

    match
        Option.ofNullable record.ValidationReconstructionNatsPerDim, Option.ofNullable record.ValidationSquaredError
    with
    | Some nats, _ -> $"{number nats} nats/dim"
    | None, Some error -> $"{number error} squared error"
    | None, None -> "–"

let private list (place: Workplace) (store: Store) =
    let runs = Store.list store

    let known = [
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
            $"no runs in {Store.runs store}\n"
        else
            Table.render Table.Left [
                [ "id"; "status"; "steps"; "validation" ]
                for folder, record in known do
                    [
                        record.Id
                        Store.status folder record
                        $"{record.StepsDone}/{record.Steps}"
                        validation record
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
                ValidationReconstructionNatsPerDim = record.ValidationReconstructionNatsPerDim
                ValidationSquaredError = record.ValidationSquaredError
            |}
    ]

    place.Output.Result(text, {| Runs = data |})

let private show (place: Workplace) (store: Store) id =
    result {
        let! folder, record = Store.find store id
        let evaluationFile = Path.Combine(folder, RunLayout.Evaluation)

        let! evaluation =
            if File.Exists evaluationFile then
                try
                    Ok(Some(ArtifactJson.Read<EvaluationRecord> evaluationFile))
                with :? ArtifactException as error ->
                    Error(Data error.Message)
            else
                Ok None

        let optional (value: string | null) =
            value |> Option.ofObj |> Option.defaultValue "–"

        let text =
            Table.render Table.Left [
                [ "id"; record.Id ]
                [ "folder"; folder ]
                [ "status"; Store.status folder record ]
                [ "reason"; optional record.Reason ]
                [ "steps"; $"{record.StepsDone}/{record.Steps}" ]
                [ "images seen"; string record.ImagesSeen ]
                [
                    "training time"
                    TimeSpan.FromSeconds(Math.Round record.TrainingSeconds).ToString "c"
                ]
                [
                    "parameters"
                    (if record.Parameters.HasValue then
                         string record.Parameters.Value
                     else
                         "–")
                ]
                [ "validation"; validation record ]
                [ "seed"; string record.Seed ]
                [ "device"; $"{record.Device}, {record.Threads} threads" ]
                [ "started"; record.StartedUtc.ToString "u" ]
                for parent in record.Parents do
                    [ parent.Kind; parent.Id ]
            ]

        let numbers =
            evaluation |> Option.map Summary.ofEvaluation |> Option.defaultValue ""

        place.Output.Result(
            text + numbers,
            {|
                Folder = folder
                Status = Store.status folder record
                Run = record
                Evaluation = Option.toObj evaluation
            |}
        )
    }

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    let store = Workplace.store place

    match arguments.GetSubCommand() with
    | List -> Ok(list place store)
    | Show show' -> show place store (show'.GetResult Run)
    |> Task.FromResult
