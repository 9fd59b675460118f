/// `dq classify`: classifiers by quantized features, trained and evaluated.
module DQ.Pipeline.Commands.Classify

open System
open System.Globalization
open System.IO
open Argu
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.EvaluateClassifier

type Arguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | Set of ASSIGNMENT: string
    | Variant of NAME: string
    | [<Unique>] Keep of N: int
    | [<Unique>] Max_Minutes of MINUTES: float
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ -> "configuration file with a classification (JSON with comments)."
            | Set _ -> "KEY=VALUE over the configuration; may be given several times."
            | Variant _ -> "only this variant of the configuration."
            | Keep _ -> "checkpoints to keep, the last ones (training.keep); the best by validation is kept besides."
            | Max_Minutes _ -> "save and stop after so many minutes, exit code 0; the same command goes on from there."
            | Force -> "do anew what was done before."

let example = "dq classify configs/classify-mnist.json --set data.path=mnist"

let private number (format: string) (value: float) =
    value.ToString(format, CultureInfo.InvariantCulture)

let private optional format (value: Nullable<float>) =
    if value.HasValue then number format value.Value else "–"

/// A number per level, bottom first; the mean over its codebooks.
let private perLevel format (value: CodebookClassification -> float) (split: SplitClassification) =
    match split.Levels |> List.ofSeq with
    | [] -> "–"
    | levels ->
        levels
        |> List.map (fun level -> level.Codebooks |> Seq.averageBy value |> number format)
        |> String.concat " / "

let private rows split : (string * (SplitClassification -> string)) list = [
    $"on {split}, images", (fun split -> string split.Images)
    "accuracy, %", (fun split -> number "F2" (100.0 * split.Accuracy))
    "cross-entropy, nats", (fun split -> number "F4" split.CrossEntropyNats)
    "bits per image, uniform", (fun split -> optional "F1" split.BitsPerImageUniform)
    "bits per image, empirical", (fun split -> optional "F1" split.BitsPerImageEmpirical)
    "used codes", perLevel "F0" (fun book -> float book.UsedCodes)
    "codes", perLevel "F0" (fun book -> float book.Codes)
    "perplexity", perLevel "F1" _.Perplexity
]

let private name (run: ClassifiedRun) =
    let record = run.Run.Record
    if record.Variant = "" then record.Name else record.Variant

let private table (runs: ClassifiedRun list) =
    let splits =
        runs
        |> List.collect (fun run -> List.ofSeq run.Classification.Splits.Keys)
        |> List.distinct

    Table.render Table.Right [
        "" :: List.map name runs
        "parameters"
        :: [
            for run in runs -> run.Classification.Parameters.ToString("N0", CultureInfo.InvariantCulture)
        ]
        "training steps" :: [ for run in runs -> string run.Classification.Step ]
        "training, images/s"
        :: [ for run in runs -> optional "F1" run.Run.Record.ImagesPerSecond ]
        "training, s"
        :: [ for run in runs -> number "F0" run.Run.Record.TrainingSeconds ]
        for split in splits do
            for label, show in rows split do
                label
                :: [
                    for run in runs ->
                        match run.Classification.Splits.TryGetValue split with
                        | true, found -> show found
                        | _ -> "–"
                ]
    ]

let private places (runs: ClassifiedRun list) =
    runs
    |> List.map (fun run -> $"{name run}: {Path.Combine(run.Run.Folder, RunLayout.Classification)}\n")
    |> String.concat ""

let private data (runs: ClassifiedRun list) = {|
    Runs = [|
        for run in runs ->
            {|
                Variant = run.Run.Record.Variant
                Id = run.Run.Record.Id
                Folder = run.Run.Folder
                Classification = run.Classification
            |}
    |]
|}

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    task {
        let file = arguments.GetResult Config

        match
            DQ.Pipeline.Config.loadClassifiers
                file
                (arguments.GetResults Set @ Command.keep (arguments.TryGetResult Keep))
            |> Result.bind (Command.only file (arguments.TryGetResult Variant))
        with
        | Error error -> return Error error
        | Ok variants ->
            return!
                Command.inContext place (arguments.Contains Force) (fun context ->
                    variants
                    |> Command.inTurn (fun variant ->
                        Stage.execute context (pipeline context.Store variant) variant.Config.Data))
                |> Command.finish (fun runs -> place.Output.Result(table runs + "\n" + places runs, data runs))
    }
