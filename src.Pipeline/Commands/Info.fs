/// `dq info`: what a lossless file holds.
module DQ.Pipeline.Commands.Info

open System
open System.Diagnostics
open Argu
open DQ.Core.Coding
open DQ.Pipeline
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] File of FILE: string
    | [<Unique>] List
    | [<Unique>] Verify
    | [<Unique>] Run of RUN: string
    | Model of FILE: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | File _ -> "a file of dq compress."
            | List -> "a line for each picture, too."
            | Verify -> "decode all of it, which checks every checksum, and say how fast that was."
            | Run _ ->
                "a run of a context head alone (model.codes: []): its name, its id or a part of it, latest or @2; its last checkpoint, frozen, is the model."
            | Model _ -> "for --verify: a frozen model that made the file, where that is neither in it nor built in."

let example = "dq info photo.dqz --list --verify"

let private kind (entry: LosslessEntry) =
    (if entry.Channels = 3 then "color" else "gray")
    + (if entry.HasAlpha then " and alpha" else "")

let private line (number: int) (entry: LosslessEntry) = [
    match entry.Name with
    | NonNull name -> name
    | Null -> string number
    $"{entry.Width} × {entry.Height}"
    kind entry
    match Option.ofNullable entry.ModifiedTicks with
    | Some ticks -> DateTime(ticks, DateTimeKind.Utc).ToString "yyyy-MM-dd HH:mm:ss"
    | None -> ""
    match entry.Profile with
    | NonNull profile -> $"profile of {profile.Length} bytes"
    | Null -> ""
]

/// Decodes everything; the seconds that took.
let private verify
    (place: Workplace)
    (context: StageContext)
    (arguments: ParseResults<Arguments>)
    (opened: LosslessFile)
    =
    result {
        let! threads = LosslessModels.threads place
        let! ofRun = LosslessModels.ofRun place (arguments.TryGetResult Run)
        let! ofFiles = LosslessModels.ofFiles (arguments.GetResults Model)
        let models = opened.Resolve(ofRun @ ofFiles @ LosslessModels.builtIn)
        let clock = Stopwatch.StartNew()

        for index, _ in Seq.indexed (opened.Read(models, threads, context.Cancellation)) do
            LosslessModels.progress context "verify" opened.Entries.Count (index + 1)

        return clock.Elapsed.TotalSeconds
    }

let private info (place: Workplace) (context: StageContext) (arguments: ParseResults<Arguments>) =
    result {
        let file = arguments.GetResult File
        use opened = LosslessFile.Open(file, Int64.MaxValue)

        let! seconds =
            if arguments.Contains Verify then
                verify place context arguments opened |> Result.map Some
            else
                Ok None

        let text, data = LosslessModels.describe file seconds opened

        let list =
            if arguments.Contains List && opened.Entries.Count > 0 then
                "\n"
                + Table.render Table.Left [
                    for number, entry in Seq.indexed opened.Entries do
                        line number entry
                ]
            else
                ""

        return
            text + list,
            {|
                data with
                    List =
                        if arguments.Contains List then
                            [
                                for entry in opened.Entries do
                                    {|
                                        Name = entry.Name
                                        Width = entry.Width
                                        Height = entry.Height
                                        Channels = entry.Channels
                                        HasAlpha = entry.HasAlpha
                                    |}
                            ]
                        else
                            []
            |}
    }

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    Command.inContext place false (fun context -> Stage.inBackground context (fun () -> info place context arguments))
    |> Command.finish (fun (text, data) -> place.Output.Result(text, data))
