/// The runs that several processes make in the tests, and those of one process that they are compared with.
module DQ.Tests.Parallel.TinyRuns

open System
open System.Diagnostics
open System.IO
open System.Text.Json.Nodes
open Expecto
open DQ.Core.Artifacts
open DQ.Pipeline.Storage
open DQ.Tests.Pipeline.Program
open DQ.Tests.Parallel.Mpi

/// Steps between two checkpoints.
let private interval = 10L

/// Steps of a run that ends by itself.
let shortSteps = 30L

/// More steps than any test waits for: such a run ends when it is told to, however slow the machine is.
let endlessSteps = 1_000_000L

/// All checkpoints are kept: any of them may be compared.
let private config (steps: int64) =
    $$"""{ "data": { "count": 80, "image_size": 8, "flip": true },
           "model": { "channels": 8, "residual_channels": 8, "coder_blocks": 1, "codes": [8, 8], "codebooks": 2, "code_width": 4 },
           "training": { "steps": {{steps}}, "batch_size": 8, "accumulate": 2, "log_every": 10, "validate_every": 20,
                         "checkpoint_every": {{interval}}, "keep": 1000000, "sample_every": 20, "initialization_batches": 2 },
           "evaluation": { "samples": 2 } }"""

/// A configuration file in a folder.
let written folder steps =
    let file = Path.Combine(folder, "tiny.json")
    File.WriteAllText(file, config steps)
    file

let commandOf command file artifacts = [ command; file; "--artifacts"; artifacts ]

let succeeds (finished: Finished) =
    Expect.equal finished.ExitCode 0 finished.Errors

/// The artifacts of a short run as one process makes it, once for all tests.
let alone =
    lazy
        (let folder = Directory.CreateTempSubdirectory("dq-tests-").FullName
         AppDomain.CurrentDomain.ProcessExit.Add(fun _ -> Directory.Delete(folder, true))
         let artifacts = Path.Combine(folder, "alone")
         succeeds (DQ.Tests.Pipeline.Program.run (commandOf "run" (written folder shortSteps) artifacts))
         artifacts)

/// Ranks may outlive their launcher for a moment, and the system may list them for a moment longer.
let waitForEnd artifacts =
    let clock = Stopwatch.StartNew()
    let runs = Path.Combine(artifacts, RunLayout.Runs)

    let isOwned () =
        Directory.Exists runs
        && Directory.GetDirectories runs
           |> Array.exists (fun run -> (RunLock.LivingOwner run).IsSome)

    while (processes artifacts <> [||] || isOwned ()) && clock.Elapsed < patience do
        Threading.Thread.Sleep 10

/// What a run must not leave after a failure.
let nothingHalfWritten artifacts =
    Expect.isEmpty (processes artifacts) "all ranks ended"

    if Directory.Exists(Path.Combine(artifacts, RunLayout.Runs)) then
        for file in Directory.GetFiles(artifacts, "*.json", SearchOption.AllDirectories) do
            Expect.isNotNull (JsonNode.Parse(File.ReadAllText file)) file

/// Waits until an endless run has a checkpoint of this step or a later one, and does something to it; gives how it ended.
let disturbedAt (step: int64) artifacts (started: Process) (disturb: Process -> unit) : Finished =
    Expect.isTrue (waitFor started (fun () -> latestCheckpoint artifacts >= step)) "trains"
    disturb started
    let finished = finish started
    waitForEnd artifacts
    nothingHalfWritten artifacts
    finished

/// The same, a checkpoint or more after what is there already.
let disturbed artifacts started disturb =
    disturbedAt (latestCheckpoint artifacts + interval) artifacts started disturb

/// Sends a signal to one rank.
let toOneRank signal artifacts (_: Process) =
    kill signal (Process.GetProcessById(Array.last (processes artifacts)))

/// Tells one rank to stop: all hear of it, save and end.
let stopped (finished: Finished) artifacts =
    Expect.equal finished.ExitCode 143 finished.Errors
    Expect.equal (record artifacts).Status RunStatus.Interrupted "status"

/// The last checkpoint that a run makes whether it is disturbed or not.
let lastRegular artifacts =
    latestCheckpoint artifacts / interval * interval
