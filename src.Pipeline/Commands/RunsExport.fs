/// `dq runs export`: the numbers of training for other programs.
module DQ.Pipeline.Commands.RunsExport

open System
open System.IO
open System.Text
open System.Text.Json
open System.Text.Json.Nodes
open Argu
open DQ.Core
open DQ.Core.Artifacts
open DQ.Core.Formats
open DQ.Pipeline
open DQ.Pipeline.Storage
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type ExportArguments =
    | [<MainCommand; ExactlyOnce>] Runs of RUN: string list
    | [<Unique>] Format of FORMAT: string
    | [<Mandatory; Unique; AltCommandLine("-o")>] Output of DIR: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Runs _ -> "runs: their names, ids or parts of them, latest or @2."
            | Format _ -> "tensorboard (default): event files, a folder per run; or csv: a file per run."
            | Output _ -> "the folder to write to."

/// Numbers of a line by name: those of codebooks with their level and codebook.
let rec private numbersOf prefix (node: JsonNode | null) : (string * float) list =
    match node with
    | :? JsonObject as line -> [
        for pair in line do
            yield! numbersOf (if prefix = "" then pair.Key else $"{prefix}.{pair.Key}") pair.Value
      ]
    | :? JsonArray as items -> [
        for index, item in Seq.indexed items do
            yield! numbersOf $"{prefix}[{index}]" item
      ]
    | :? JsonValue as value when value.GetValueKind() = JsonValueKind.Number -> [ prefix, value.GetValue<float>() ]
    | _ -> []

type private Line = {
    Split: string
    Step: int64
    Seconds: float
    Numbers: (string * float) list
}

/// The whole lines of metrics.jsonl: the last one of a run that is being trained may be cut short.
let private read (folder: string) : Result<Line list, StageError> =
    let path = Path.Combine(folder, RunLayout.Metrics)

    let parse (number, text: string) =
        try
            let line = (nonNull (JsonNode.Parse text)).AsObject()

            Ok {
                Split = (nonNull line["split"]).GetValue<string>()
                Step = (nonNull line["step"]).GetValue<int64>()
                Seconds = (nonNull line["seconds"]).GetValue<float>()
                Numbers = numbersOf "" line
            }
        with
        | :? JsonException
        | :? InvalidOperationException
        | :? NullReferenceException ->
            Error(Data $"{path}: line {number + 1}: expected a line of metrics, got '{text[..39]}'")

    if File.Exists path then
        let text = File.ReadAllText path
        let whole = text[.. text.LastIndexOf '\n']

        whole.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        |> Array.indexed
        |> List.ofArray
        |> List.traverseResultM parse
    else
        Error(Data $"{folder}: expected {RunLayout.Metrics}: only runs that trained a model have it")

/// `train/loss`; `perplexity/level0.codebook1`, as TensorBoard groups by what stands before the slash.
let private tag (line: Line) (name: string) =
    let parts = name.Split([| '['; ']'; '.' |], StringSplitOptions.RemoveEmptyEntries)

    match parts with
    | [| "levels"; level; what; codebook |] -> $"{what}/level{level}.codebook{codebook}"
    | _ -> $"{line.Split}/{name}"

let private places = [ "step"; "seconds" ]

let private writeEvents (output: string) (record: RunRecord) (lines: Line list) =
    let start =
        float (DateTimeOffset(record.StartedUtc).ToUnixTimeMilliseconds()) / 1000.0

    let folder = Path.Combine(output, record.Id)
    Directory.CreateDirectory folder |> ignore
    let file = Path.Combine(folder, $"{TensorBoardEvents.FileName}{int64 start}.dq")

    let events =
        seq {
            for line in lines do
                for name, value in line.Numbers do
                    if not (List.contains name places) then
                        ScalarEvent(start + line.Seconds, line.Step, tag line name, value)
        }

    AtomicFile.Write(file, fun stream -> TensorBoardEvents.Write(stream, start, events))
    file

let private writeCsv (output: string) (record: RunRecord) (lines: Line list) =
    Directory.CreateDirectory output |> ignore
    let file = Path.Combine(output, $"{record.Id}.csv")
    let names = lines |> List.collect (_.Numbers >> List.map fst) |> List.distinct

    let rows = [
        "split" :: names
        for line in lines do
            let numbers = Map line.Numbers

            line.Split
            :: [
                for name in names ->
                    numbers.TryFind name
                    |> Option.map (Numbers.number "R")
                    |> Option.defaultValue ""
            ]
    ]

    let text =
        rows
        |> List.map (fun cells -> String.Join(",", cells) + "\n")
        |> String.concat ""

    AtomicFile.Write(file, fun stream -> stream.Write(Encoding.UTF8.GetBytes text))
    file

let export (place: Workplace) (arguments: ParseResults<ExportArguments>) =
    result {
        let! write =
            match arguments.GetResult(Format, "tensorboard") with
            | "tensorboard" -> Ok writeEvents
            | "csv" -> Ok writeCsv
            | other -> Error(Usage $"--format {other}: expected tensorboard or csv")

        let! files =
            arguments.GetResult Runs
            |> List.traverseResultM (fun id ->
                result {
                    let! folder, record = Command.runNamed place id
                    let! lines = read folder
                    return record.Id, write (arguments.GetResult Output) record lines
                })

        place.Output.Result(
            files |> List.map (fun (id, file) -> $"{id} → {file}\n") |> String.concat "",
            {|
                Files = [ for id, file in files -> {| Run = id; File = file |} ]
            |}
        )
    }
