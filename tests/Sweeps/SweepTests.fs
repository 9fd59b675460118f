/// Sweeps as processes: what they make of their cells, alone and together, and when one of them dies.
module DQ.Tests.Sweeps.SweepTests

open System
open System.Diagnostics
open System.IO
open System.Threading
open Expecto
open DQ.Core.Artifacts
open DQ.Pipeline.Sweeps
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program

let private tiny steps (sweep: string) =
    $$"""{ "data": { "count": 60, "image_size": 8 },
           "model": { "channels": 8, "residual_channels": 8, "coder_blocks": 1, "codes": [8], "codebooks": 2, "code_width": 4,
                      "likelihood": { "kind": "squared_error" } },
           "training": { "steps": {{steps}}, "batch_size": 4, "log_every": 10, "validate_every": 10, "checkpoint_every": 50,
                         "sample_every": 0, "initialization_batches": 2 },
           "evaluation": { "samples": 0 },
           "sweep": {{sweep}} }"""

let private written folder steps sweep =
    let file = Path.Combine(folder, "tiny.json")
    File.WriteAllText(file, tiny steps sweep)
    file

let private sweepFolder artifacts =
    Directory.GetDirectories(Path.Combine(artifacts, SweepLayout.Sweeps))
    |> Array.exactlyOne

let private record artifacts =
    ArtifactJson.Read<SweepRecord>(Path.Combine(sweepFolder artifacts, SweepLayout.Sweep))

let private runs artifacts =
    Directory.GetDirectories(Path.Combine(artifacts, RunLayout.Runs))

/// All claims ever made, by cell, in order; but for one that is being made.
let private claims artifacts = [
    let sweeps = Path.Combine(artifacts, SweepLayout.Sweeps)

    if Directory.Exists sweeps then
        for cells in Directory.GetDirectories(sweeps, SweepLayout.Cells, SearchOption.AllDirectories) do
            for cell in Directory.GetDirectories cells |> Array.sort do
                [
                    for file in Directory.GetFiles(cell, "claim-*.json") |> Array.sort do
                        try
                            ArtifactJson.Read<ClaimRecord> file
                        with :? ArtifactException ->
                            ()
                ]
]

/// Cells that somebody works on.
let private held artifacts =
    claims artifacts
    |> List.filter (List.exists (fun claim -> claim.IsHeld DateTime.UtcNow))
    |> List.length

/// No two claims on a cell at one time: each ends, by release or by death after its last heartbeat, before the next begins.
let private neverTwiceAtOnce artifacts =
    for cell in claims artifacts do
        for earlier, later in List.pairwise cell do
            let last =
                earlier.ReleasedUtc
                |> Option.ofNullable
                |> Option.defaultValue earlier.Owner.HeartbeatUtc

            Expect.isLessThanOrEqual last later.ClaimedUtc "one after the other"

/// Waits for what is certain to come.
let private waitUntil what (condition: unit -> bool) =
    let watch = Stopwatch.StartNew()

    while not (condition ()) do
        if watch.Elapsed > patience then
            failtest $"waited for: {what}"

        Thread.Sleep 20

/// Claims of a process that it has not let go of.
let private orphans (processId: int) artifacts =
    claims artifacts
    |> List.filter (List.exists (fun claim -> claim.Owner.ProcessId = processId && not claim.ReleasedUtc.HasValue))

/// A process that is suspended while it has a claim and others of its cells are free, and the artifacts it works in. One that was beyond
/// that before it could be suspended shows nothing: another begins in a new folder.
let private suspendedAtWork cells (arguments: string -> string list) folder =
    let rec attempt number =
        let artifacts = Path.Combine(folder, $"artifacts{number}")
        let started = start (arguments artifacts)

        let claimed () =
            not (orphans started.Id artifacts).IsEmpty

        let rec suspend () =
            let seen = waitFor started claimed
            kill "-STOP" started

            let free = (claims artifacts |> List.filter (not << List.isEmpty)).Length < cells

            // it may have let go of that one meanwhile
            if seen && free && not started.HasExited then
                if claimed () then
                    Some(started, artifacts)
                else
                    kill "-CONT" started
                    suspend ()
            else
                None

        match suspend () with
        | Some atWork -> atWork
        | None ->
            kill "-KILL" started
            let finished = finish started
            Expect.isLessThan number 5 $"never seen at work: {finished.Errors}"
            attempt (number + 1)

    attempt 1

let private statuses artifacts =
    record(artifacts).Cells |> Seq.map _.Status |> List.ofSeq

let private errorLines (finished: Finished) =
    finished.Errors.Split('\n') |> Array.filter _.StartsWith("dq: ")

[<Tests>]
let tests =
    testSequenced
    <| testList "Sweeps.Processes" [
        test "a grid at two seeds becomes runs and a table, and again makes nothing new" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")

                File.WriteAllText(
                    Path.Combine(folder, "numbers.json"),
                    """{ "schema": 1, "publication": "a test", "tables": [
                         { "source": "Table 7", "metric": "normalized_squared_error", "printed_unit": "L2", "settings": {},
                           "columns": { "dq": { "model.quantizer.kind": "depthwise" } },
                           "rows": [{ "settings": { "model.codebooks": 2 }, "values": { "dq": 0.125 } }] }] }"""
                )

                let config =
                    written
                        folder
                        10
                        """{ "grid": { "model.codebooks": [1, 2], "model.quantizer.kind": ["depthwise", "vector"] }, "seeds": [0, 1],
                             "published": "numbers.json", "trends": ["equal_at_one_codebook", "steps_to_best_vq_loss"] }"""

                let sweep more =
                    run ([ "sweep"; config; "--artifacts"; artifacts ] @ more)

                let first = sweep [ "--jobs"; "2" ]
                Expect.equal first.ExitCode 0 first.Errors
                Expect.stringContains first.Output "cells on test: 8 completed" first.Output
                let found = record artifacts
                Expect.sequenceEqual found.Keys [ "model.codebooks"; "model.quantizer.kind" ] "what varies"
                Expect.hasLength (runs artifacts) 8 "a run per cell"
                neverTwiceAtOnce artifacts

                for row in found.Rows do
                    let values = [
                        for index in row.Cells do
                            let run = nonNull found.Cells[index].Run
                            let file = Path.Combine(artifacts, RunLayout.Runs, run, RunLayout.Evaluation)
                            (ArtifactJson.Read<EvaluationRecord> file).Splits["test"].NormalizedSquaredError.Value
                    ]

                    Expect.hasLength values 2 "two seeds"
                    let mean = List.average values
                    let metric = row.Metrics["normalized_squared_error"]
                    Expect.floatClose Accuracy.high metric.Mean mean "mean"
                    let deviation = abs (values[0] - values[1]) / sqrt 2.0
                    Expect.floatClose Accuracy.medium metric.SampleDeviation.Value deviation "sample deviation"

                let published = [
                    for row in found.Rows -> row.Published.ContainsKey "normalized_squared_error"
                ]

                Expect.equal published [ false; false; true; false ] "beside the row it is for"
                Expect.equal found.Trends[0].Holds (Nullable true) "one codebook: the same"
                Expect.isTrue found.Trends[1].Holds.HasValue "the logs were read"

                let csv =
                    File.ReadAllLines(Path.Combine(sweepFolder artifacts, SweepLayout.SummaryCsv))

                Expect.hasLength csv 5 "a head and four rows"

                Expect.isTrue
                    (csv
                     |> Array.forall (fun line -> (line.Split ',').Length = (csv[0].Split ',').Length))
                    "columns"

                Expect.stringContains csv[0] "normalized_squared_error_published" "units in names"

                let markdown =
                    File.ReadAllText(Path.Combine(sweepFolder artifacts, SweepLayout.SummaryMarkdown))

                Expect.stringContains markdown "0.12500" "the published value"
                Expect.stringContains markdown "- **holds**: with one codebook" "the trend"

                // everything is found again, in another order of claims, by an array job, and without the tables
                let before = claims artifacts |> List.map _.Length
                let again = sweep [ "--shard"; "1/2"; "--json" ]
                Expect.equal again.ExitCode 0 again.Errors
                Expect.stringContains again.Output "\"rows\"" "the record as JSON"
                File.Delete(Path.Combine(sweepFolder artifacts, SweepLayout.Sweep))
                Expect.equal (sweep [ "--summary" ]).ExitCode 0 "tables anew"
                Expect.sequenceEqual (statuses artifacts) (List.replicate 8 CellStatus.Completed) "complete"
                Expect.hasLength (runs artifacts) 8 "no new run"
                Expect.equal (claims artifacts |> List.map _.Length) before "no new claim"

                let plan = sweep [ "--plan"; "--set"; "sweep.seeds=[1,2]" ]
                Expect.stringContains plan.Output "4 completed, 4 waiting" plan.Output

                // the runs are enough: neither the packed images nor what else lies there is asked
                Directory.Delete(Path.Combine(artifacts, RunLayout.Datasets), true)
                let damaged = Path.Combine(artifacts, RunLayout.Runs, "2026-01-01-tiny-0000000")
                Directory.CreateDirectory damaged |> ignore
                File.WriteAllText(Path.Combine(damaged, RunLayout.Run), "{")
                let summary = sweep [ "--summary" ]
                Expect.equal summary.ExitCode 0 summary.Errors
                Expect.sequenceEqual (statuses artifacts) (List.replicate 8 CellStatus.Completed) "still complete")
        }

        test "two processes share a sweep; one is killed, and the other finishes everything" {
            inFolder (fun folder ->
                let config =
                    written folder 60 """{ "grid": { "model.codebooks": [1, 2], "model.codes": [[4], [8]] } }"""

                let arguments artifacts = [ "sweep"; config; "--artifacts"; artifacts ]
                let doomed, artifacts = suspendedAtWork 4 arguments folder
                let survivor = start (arguments artifacts)

                let atWork () =
                    claims artifacts
                    |> List.exists (List.exists (fun claim -> claim.Owner.ProcessId = survivor.Id))

                // there is a free one
                Expect.isTrue (waitFor survivor atWork) "it takes what the other left"
                kill "-KILL" doomed
                let killed = doomed.Id
                finish doomed |> ignore
                let finished = finish survivor
                Expect.equal finished.ExitCode 0 finished.Errors
                Expect.sequenceEqual (statuses artifacts) (List.replicate 4 CellStatus.Completed) "all cells"
                Expect.hasLength (runs artifacts) 4 "each run once"
                neverTwiceAtOnce artifacts

                for orphan in orphans killed artifacts do
                    Expect.notEqual (List.last orphan).Owner.ProcessId killed "taken over"

                Expect.isNonEmpty (orphans killed artifacts) "it died at work")
        }

        test "a cell that fails is recorded with its reason, the others go on, and the exit code says so" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")
                // a batch of 1,000 of 48 images
                let config =
                    written folder 10 """{ "grid": { "training.batch_size": [1000, 4] } }"""

                let sweep more =
                    run ([ "sweep"; config; "--artifacts"; artifacts ] @ more)

                let shard = sweep [ "--shard"; "2/2" ]
                Expect.equal shard.ExitCode 0 shard.Errors
                Expect.sequenceEqual (statuses artifacts) [ CellStatus.Waiting; CellStatus.Completed ] "its cells only"
                let first = sweep []
                Expect.equal first.ExitCode 2 first.Errors
                let line = Array.exactlyOne (errorLines first)
                Expect.stringContains line "training.batch_size" line
                Expect.stringContains line "--retry" "what to do"
                Expect.sequenceEqual (statuses artifacts) [ CellStatus.Failed; CellStatus.Completed ] "recorded"
                Expect.stringContains (nonNull record(artifacts).Cells[0].Reason) "48 training images" "why"

                let markdown =
                    File.ReadAllText(Path.Combine(sweepFolder artifacts, SweepLayout.SummaryMarkdown))

                Expect.stringContains markdown "## Failed" "in the summary"
                Expect.equal (sweep []).ExitCode 2 "it stays failed"
                Expect.equal (claims artifacts |> List.map _.Length) [ 1; 1 ] "and is not tried again"
                Expect.equal (sweep [ "--retry" ]).ExitCode 2 "unless asked to"
                Expect.equal (claims artifacts |> List.map _.Length) [ 2; 1 ] "once more")
        }

        test "SIGTERM saves the cells of all jobs and exits 143; a killed parent takes its jobs with it" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")

                let config =
                    written folder 1_000_000 """{ "grid": { "model.codebooks": [1, 2] } }"""

                let arguments = [ "sweep"; config; "--artifacts"; artifacts; "--jobs"; "2" ]

                let working () =
                    let started = start arguments

                    waitUntil "both at work" (fun () ->
                        held artifacts = 2
                        && (let runs = runs artifacts

                            runs.Length = 2
                            && runs |> Array.forall (fun run -> File.Exists(Path.Combine(run, RunLayout.Lock)))))

                    started

                let started = working ()
                kill "-TERM" started
                let stopped = finish started
                Expect.equal stopped.ExitCode 143 stopped.Errors
                Expect.equal (held artifacts) 0 "let go of"
                Expect.sequenceEqual (statuses artifacts) (List.replicate 2 CellStatus.Interrupted) "to go on with"

                for run in runs artifacts do
                    let record = ArtifactJson.Read<RunRecord>(Path.Combine(run, RunLayout.Run))
                    Expect.equal record.Status RunStatus.Interrupted "saved"

                let started = working ()
                kill "-KILL" started
                finish started |> ignore
                waitUntil "the jobs stop by themselves" (fun () -> held artifacts = 0)
                Expect.hasLength (runs artifacts) 2 "the same runs")
        }

        test "a wrong command line is one line and exits 2; nothing is made" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")
                let config = written folder 10 """{ "seeds": [0] }"""

                for wrong in
                    [
                        [ "--shard"; "3/2" ]
                        [ "--shard"; "0/2" ]
                        [ "--jobs"; "0" ]
                        [ "--set"; "sweep.published=missing.json" ]
                    ] do
                    let finished = run ([ "sweep"; config; "--artifacts"; artifacts ] @ wrong)
                    Expect.equal finished.ExitCode 2 $"%A{wrong}: %s{finished.Errors}"
                    Expect.hasLength (errorLines finished) 1 $"%A{wrong}: %s{finished.Errors}"

                Expect.isFalse (Directory.Exists artifacts) "nothing was made"
                let plan = run [ "sweep"; config; "--artifacts"; artifacts; "--plan" ]
                Expect.equal plan.ExitCode 0 plan.Errors
                Expect.stringContains plan.Output "1 waiting" plan.Output
                Expect.isFalse (Directory.Exists artifacts) "a plan makes nothing either")
        }
    ]
