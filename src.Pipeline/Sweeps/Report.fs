/// `sweep.json`, `summary.csv` and `summary.md`: the present state of a sweep.
module DQ.Pipeline.Sweeps.Report

open System
open System.IO
open System.Text
open DQ.Core
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Numbers
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Host
open DQ.Pipeline.Sweeps.Board
open DQ.Pipeline.Sweeps.Rows

/// The record of a sweep from the present states of its cells.
let private record (board: Board) (published: Tables.Entry list) (states: (Sweep.Cell * CellState) list) =
    let sweep = board.Sweep
    let rows = ofStates sweep.Keys published states

    SweepRecord(
        Name = sweep.Name,
        Fingerprint = board.Fingerprint,
        Split = splitOf sweep.Cells.Head.Variant.Config,
        Keys = List.toArray sweep.Keys,
        Cells = [|
            for cell, state in states ->
                SweepCell(
                    Index = cell.Index,
                    Settings = Sweep.settings sweep.Keys cell,
                    Seed = cell.Variant.Config.Seed,
                    Status = status state,
                    Run =
                        (match state with
                         | CellState.Completed run -> run.Record.Id
                         | _ -> null),
                    Reason =
                        (match state with
                         | CellState.Failed failure -> failure.Reason
                         | _ -> null),
                    Owner =
                        (match state with
                         | CellState.Running claim -> claim.Owner
                         | _ -> null)
                )
        |],
        Rows = [| for row in rows -> row.Record |],
        Trends = List.toArray (Trends.judge sweep.Trends rows),
        UpdatedUtc = DateTime.UtcNow
    )

let private statistic (row: SweepRow) name =
    match row.Metrics.TryGetValue name with
    | true, value -> Some value
    | _ -> None

let private published (row: SweepRow) name =
    match row.Published.TryGetValue name with
    | true, value -> Some value.Value
    | _ -> None

let private quoted (text: string) =
    if text.IndexOfAny [| ','; '"'; '\n'; '\r' |] >= 0 then
        "\"" + text.Replace("\"", "\"\"") + "\""
    else
        text

/// A line per row of settings; numbers with all digits.
let csv (sweep: SweepRecord) =
    let metrics = [
        for name in metricNames do
            if
                sweep.Rows
                |> Seq.exists (fun row -> (statistic row name).IsSome || (published row name).IsSome)
            then
                name
    ]

    let number value =
        value |> Option.map (number "R") |> Option.defaultValue ""

    let header = [
        yield! sweep.Keys
        "loss"
        "cells"
        "completed"
        for name in metrics do
            $"{name}_mean"
            $"{name}_sample_deviation"
            $"{name}_published"
    ]

    let line (row: SweepRow) = [
        for key in sweep.Keys do
            Sweep.show row.Settings[key]
        row.Loss
        string row.Cells.Count
        string row.Completed
        for name in metrics do
            let metric = statistic row name
            number (metric |> Option.map _.Mean)
            number (metric |> Option.bind (fun metric -> Option.ofNullable metric.SampleDeviation))
            number (published row name)
    ]

    [ header; yield! Seq.map line sweep.Rows ]
    |> List.map (fun cells -> (cells |> List.map quoted |> String.concat ",") + "\n")
    |> String.concat ""

/// The name of a loss in tables.
let private title loss =
    match loss with
    | "normalized_squared_error" -> "squared error, normalized"
    | "cross_entropy_nats" -> "cross-entropy, nats"
    | _ -> "reconstruction, nats/dim"

let private meanOf format (row: SweepRow) name =
    match statistic row name with
    | None -> "–"
    | Some metric ->
        match Option.ofNullable metric.SampleDeviation with
        | Some deviation -> $"{number format metric.Mean} ± {number format deviation}"
        | None -> number format metric.Mean

/// A share as a percentage.
let private percent name (row: SweepRow) =
    match statistic row name with
    | None -> "–"
    | Some metric ->
        match Option.ofNullable metric.SampleDeviation with
        | Some deviation -> $"""{number "F2" (100.0 * metric.Mean)} ± {number "F2" (100.0 * deviation)}"""
        | None -> number "F2" (100.0 * metric.Mean)

/// One table per loss, the first line its head. Empty columns are left out.
let private tables (sweep: SweepRecord) : string list list list = [
    for loss, rows in sweep.Rows |> List.ofSeq |> List.groupBy _.Loss do
        let format = if loss = "normalized_squared_error" then "F5" else "F4"

        let columns: (string * (SweepRow -> string)) list = [
            for key in sweep.Keys do
                key, (fun row -> Sweep.show row.Settings[key])
            "seeds", (fun row -> $"{row.Completed} of {row.Cells.Count}")
            "accuracy, %", percent "accuracy"
            title loss, (fun row -> meanOf format row loss)
            "published", (fun row -> published row loss |> Option.map (number format) |> Option.defaultValue "–")
            "code rate uniform, bits/dim", (fun row -> meanOf "F3" row "code_rate_uniform_bits_per_dim")
            "total uniform, bits/dim", (fun row -> meanOf "F3" row "total_uniform_bits_per_dim")
            "PSNR, dB", (fun row -> meanOf "F2" row "psnr_db")
            "bits per image", (fun row -> meanOf "F1" row "bits_per_image_uniform")
            "bits per image, empirical", (fun row -> meanOf "F1" row "bits_per_image_empirical")
            "used codes", (fun row -> meanOf "F1" row "used_codes")
            "perplexity", (fun row -> meanOf "F1" row "codebook_perplexity")
        ]

        let isTold (_, show) =
            rows |> List.exists (fun row -> show row <> "–")

        let told = columns |> List.filter isTold

        [
            List.map fst told
            yield! [ for row in rows -> [ for _, show in told -> show row ] ]
        ]
]

let private verdict (trend: SweepTrend) =
    match Option.ofNullable trend.Holds with
    | Some true -> "holds"
    | Some false -> "does not hold"
    | None -> "can't be said"

let private subject (trend: SweepTrend) =
    if trend.Subject = "" then "" else $" ({trend.Subject})"

let private failures (sweep: SweepRecord) = [
    for cell in sweep.Cells do
        match cell.Reason with
        | null -> ()
        | reason ->
            let settings =
                [ for key in sweep.Keys -> $"{key} {Sweep.show cell.Settings[key]}, " ]
                |> String.concat ""

            $"{settings}seed {cell.Seed}: {reason}"
]

/// The number of cells by status.
let standing (sweep: SweepRecord) =
    sweep.Cells
    |> Seq.countBy _.Status
    |> Seq.map (fun (status, count) -> $"{count} {status}")
    |> String.concat ", "

/// The same as Markdown: tables, failures, trends.
let markdown (sweep: SweepRecord) =
    let text = StringBuilder()

    let line (content: string) =
        text.Append(content).Append('\n') |> ignore

    let row cells =
        line ("| " + String.concat " | " cells + " |")

    line $"# Sweep {sweep.Name}"
    line ""
    line $"Cells: {standing sweep}. On {sweep.Split}; mean ± sample standard deviation over seeds."

    for table in tables sweep do
        line ""
        row table.Head
        row [ for _ in table.Head -> "---" ]

        for cells in table.Tail do
            row cells

    match failures sweep with
    | [] -> ()
    | lines ->
        line ""
        line "## Failed"
        line ""

        for failure in lines do
            line $"- {failure}"

    if sweep.Trends.Count > 0 then
        line ""
        line "## Trends"
        line ""

        for trend in sweep.Trends do
            line $"- **{verdict trend}**{subject trend}: {trend.Claim}"

            for evidence in trend.Evidence do
                line $"  - {evidence}"

    text.ToString()

/// For the terminal.
let plain (sweep: SweepRecord) =
    [
        $"cells on {sweep.Split}: {standing sweep}\n"
        for table in tables sweep do
            Table.render Table.Left table
        match failures sweep with
        | [] -> ()
        | lines ->
            "failed:\n"
            + (lines |> List.map (fun line -> $"  {line}\n") |> String.concat "")
        if sweep.Trends.Count > 0 then
            sweep.Trends
            |> Seq.map (fun trend ->
                $"{verdict trend}{subject trend}: {trend.Claim}\n"
                + (trend.Evidence |> Seq.map (fun line -> $"  {line}\n") |> String.concat ""))
            |> String.concat ""
    ]
    |> String.concat "\n"

let private writeText path (text: string) =
    AtomicFile.Write(path, (fun stream -> stream.Write(ReadOnlySpan(Encoding.UTF8.GetBytes text))))

/// The present record of the sweep; nothing is written.
let now board published = record board published (look board)

/// The part of the state in which two records of a sweep can differ.
let private signature (states: (Sweep.Cell * CellState) list) =
    states
    |> List.map (fun (_, state) ->
        match state with
        | CellState.Completed run -> run.Record.Id + run.Evaluation.Fingerprint
        | CellState.Running claim -> $"{claim.Owner.Host} {claim.Owner.ProcessId} {claim.ClaimedUtc.Ticks}"
        | state -> status state)

/// Writes all three files. Processes that share a sweep write the same files without a lock. If the state changed
/// during the writing, the process notices this afterwards and writes again.
let rec write (board: Board) (published: Tables.Entry list) : SweepRecord =
    let states = look board
    let sweep = record board published states
    Directory.CreateDirectory board.Folder |> ignore
    writeText (Path.Combine(board.Folder, SweepLayout.SummaryCsv)) (csv sweep)
    writeText (Path.Combine(board.Folder, SweepLayout.SummaryMarkdown)) (markdown sweep)
    ArtifactJson.Write(Path.Combine(board.Folder, SweepLayout.Sweep), sweep)

    if signature (look board) = signature states then
        sweep
    else
        write board published
