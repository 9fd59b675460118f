/// `dq runs delete` and `dq runs disk`: what runs take on the disk, and how to have it back.
module DQ.Pipeline.Commands.RunsDelete

open System.IO
open Argu
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Storage
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type DeleteArguments =
    | [<MainCommand; ExactlyOnce>] Runs of RUN: string list
    | Dry_Run
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Runs _ -> "runs: their names, ids or parts of them, latest or @2."
            | Dry_Run -> "say what would go, and delete nothing."
            | Force -> "delete runs that others were made from, too."

type DiskArguments =
    | [<Unique>] Limit of N: int

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Limit _ -> "only the largest folders, so many (default: 20; 0 for all)."

/// Bytes of all files in a folder.
let rec size (folder: string) : int64 =
    if Directory.Exists folder then
        DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories)
        |> Seq.sumBy (fun file ->
            // one that went meanwhile
            try
                file.Length
            with :? FileNotFoundException ->
                0L)
    else
        0L

/// In the unit that suits it.
let shown (bytes: int64) =
    let rec scaled value units =
        match units with
        | unit' :: _ :: _ when value < 1000.0 -> value, unit'
        | [ unit' ] -> value, unit'
        | _ :: rest -> scaled (value / 1000.0) rest
        | [] -> value, ""

    let value, unit' = scaled (float bytes) [ "B"; "kB"; "MB"; "GB"; "TB" ]
    let format = if unit' = "B" then "F0" else "F1"
    $"{Numbers.number format value} {unit'}"

/// Runs, not among those that go, that were made from one of them.
let private children (all: StoredRun list) (going: Set<string>) id = [
    for run in all do
        match run.Record with
        | Ok record when
            not (going.Contains record.Id)
            && record.Parents
               |> Seq.exists (fun parent -> parent.Kind = "run" && parent.Id = id)
            ->
            record.Id
        | _ -> ()
]

let delete (place: Workplace) (arguments: ParseResults<DeleteArguments>) =
    result {
        let store = Workplace.store place
        let all = Store.list store

        let! runs =
            arguments.GetResult DeleteArguments.Runs
            |> List.traverseResultM (Store.findOnly store)
            |> Result.map (List.distinctBy fst)

        let going = Set.ofList [ for _, record in runs -> record.Id ]

        for folder, record in runs do
            match RunLock.LivingOwner folder with
            | Some owner ->
                return! Error(Busy $"{record.Id}: process {owner.ProcessId} on {owner.Host} works on it: not deleted")
            | None -> ()

            match children all going record.Id with
            | [] -> ()
            | made when arguments.Contains DeleteArguments.Force ->
                place.Output.Note $"""{record.Id}: {String.concat ", " made} stay without it"""
            | made ->
                let listed = String.concat ", " made
                return! Error(Data $"{record.Id}: {listed} began with it; name those too, or --force")

        let sized = [ for folder, record in runs -> folder, record, size folder ]

        if not (arguments.Contains DeleteArguments.Dry_Run) then
            for folder, record, _ in sized do
                do! StoredStage.remove folder

                Annotations.Change(store.Root, record.Id, (fun _ -> RunAnnotation.None))
                |> ignore

        let total = sized |> List.sumBy (fun (_, _, bytes) -> bytes)

        let verb =
            if arguments.Contains DeleteArguments.Dry_Run then
                "would go"
            else
                "deleted"

        let text =
            Table.render Table.Left [
                for _, record, bytes in sized do
                    [ record.Id; shown bytes; verb ]
                if sized.Length > 1 then
                    [ "together"; shown total; verb ]
            ]

        place.Output.Result(
            text,
            {|
                Deleted = not (arguments.Contains DeleteArguments.Dry_Run)
                Runs = [ for _, record, bytes in sized -> {| Id = record.Id; Bytes = bytes |} ]
                Bytes = total
            |}
        )
    }

let disk (place: Workplace) (arguments: ParseResults<DiskArguments>) =
    result {
        let store = Workplace.store place

        let! limit =
            match arguments.GetResult(Limit, 20) with
            | limit when limit < 0 -> Error(Usage $"--limit: expected a number of at least 0, got {limit}")
            | 0 -> Ok System.Int32.MaxValue
            | limit -> Ok limit

        let folders = [
            for kind in [ RunLayout.Runs; RunLayout.Datasets; RunLayout.Chains; SweepLayout.Sweeps ] do
                let parent = Path.Combine(store.Root, kind)

                if Directory.Exists parent then
                    for folder in Directory.GetDirectories parent do
                        $"{kind}/{Path.GetFileName folder}", size folder
        ]

        let total = folders |> List.sumBy snd
        let largest = folders |> List.sortByDescending snd |> List.truncate limit

        let text =
            Table.render Table.Left [
                for name, bytes in largest do
                    [ name; shown bytes ]
                [ $"all {folders.Length}"; shown total ]
            ]

        place.Output.Result(
            text,
            {|
                Folders = [ for name, bytes in largest -> {| Name = name; Bytes = bytes |} ]
                Bytes = total
            |}
        )
    }
