module DQ.Tests.Parallel.MpiTests

open System
open System.IO
open Expecto
open DQ.Core.Artifacts
open DQ.Pipeline.Storage
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program
open DQ.Tests.Parallel.Mpi

let private config steps =
    $$"""{ "data": { "count": 80, "image_size": 8, "flip": true },
           "model": { "channels": 8, "residual_channels": 8, "coder_blocks": 1, "codes": [8, 8], "codebooks": 2, "code_width": 4 },
           "training": { "steps": {{steps}}, "batch_size": 8, "accumulate": 2, "log_every": 10, "validate_every": 20,
                         "checkpoint_every": 10, "sample_every": 20, "initialization_batches": 2 },
           "evaluation": { "samples": 2 } }"""

/// A configuration file in a folder.
let private written folder steps =
    let file = Path.Combine(folder, "tiny.json")
    File.WriteAllText(file, config steps)
    file

let private within folder name = Path.Combine(folder, name)

let private training command file artifacts = [ command; file; "--artifacts"; artifacts ]

let private succeeds (finished: Finished) =
    Expect.equal finished.ExitCode 0 finished.Errors

/// The run alone, as one process makes it.
let private alone folder file =
    let artifacts = within folder "alone"
    succeeds (DQ.Tests.Pipeline.Program.run (training "run" file artifacts))
    artifacts

/// The run with two ranks that nothing disturbs.
let private undisturbed launcher folder file =
    let artifacts = within folder "undisturbed"
    succeeds (run launcher 2 (training "run" file artifacts))
    artifacts

/// What a run must not leave after a failure.
let private nothingHalfWritten artifacts =
    Expect.isEmpty (processes artifacts) "all ranks ended"

    if Directory.Exists(Path.Combine(artifacts, RunLayout.Runs)) then
        for file in Directory.GetFiles(artifacts, "*.json", SearchOption.AllDirectories) do
            Expect.isNotNull (Text.Json.Nodes.JsonNode.Parse(File.ReadAllText file)) file

/// A line of dq about this rank that has these words.
let private says (rank: int) (words: string) (finished: Finished) =
    Expect.exists
        (finished.Errors.Split '\n')
        (fun line -> line.Contains $"rank {rank} on " && line.Contains words)
        finished.Errors

/// Ranks may outlive their launcher for a moment.
let private waitForEnd artifacts =
    let clock = Diagnostics.Stopwatch.StartNew()

    while processes artifacts <> [||] && clock.Elapsed < patience do
        Threading.Thread.Sleep 10

let private mpiTest launcher name body =
    test $"{launcher.Name}: {name}" {
        needLauncher launcher
        inFolder body
    }

/// Waits for a checkpoint of this step or a later one.
let private untilStep (started: Diagnostics.Process) artifacts step =
    Expect.isTrue (waitFor started (fun () -> latestCheckpoint artifacts >= step)) "trains"

[<Tests>]
let tests =
    testSequenced
    <| testList "Parallel.Mpi" [
        for launcher, ranks in [ openMpi, 2; openMpi, 4; mpich, 2; mpich, 4 ] do
            mpiTest launcher $"{ranks} ranks train what one process trains" (fun folder ->
                let file = written folder 60
                let expected = alone folder file
                let artifacts = within folder "several"
                let finished = run launcher ranks (training "run" file artifacts)
                succeeds finished
                isAlike artifacts expected
                let record = record artifacts
                Expect.equal record.Status RunStatus.Completed "status"
                Expect.isTrue (File.Exists(Path.Combine(runFolder artifacts, RunLayout.Evaluation))) "evaluated once"
                // a second call finds it, on all ranks
                succeeds (run launcher ranks (training "run" file artifacts)))

        mpiTest
            openMpi
            "stopped with 4 ranks, a run goes on with 2 and ends with 1 as an undisturbed one"
            (fun folder ->
                let file = written folder 150
                let artifacts = within folder "several"

                for ranks, step in [ 4, 20L; 2, 60L ] do
                    let started = start openMpi [ plain ranks ] (training "run" file artifacts)
                    untilStep started artifacts step

                    // to one rank: all hear of it
                    kill "-TERM" (Diagnostics.Process.GetProcessById(Array.last (processes artifacts)))
                    let finished = finish started
                    Expect.equal finished.ExitCode 143 finished.Errors
                    nothingHalfWritten artifacts
                    Expect.equal (record artifacts).Status RunStatus.Interrupted "status"

                succeeds (DQ.Tests.Pipeline.Program.run (training "run" file artifacts))
                isAlike artifacts (alone folder file))

        for launcher in [ openMpi; mpich ] do
            mpiTest launcher "killed, a rank takes the others along, and the same command goes on" (fun folder ->
                let file = written folder 150
                let artifacts = within folder "several"
                let started = start launcher [ plain 2 ] (training "run" file artifacts)
                untilStep started artifacts 20L
                kill "-KILL" (Diagnostics.Process.GetProcessById(Array.last (processes artifacts)))
                let finished = finish started
                waitForEnd artifacts
                Expect.notEqual finished.ExitCode 0 finished.Errors
                nothingHalfWritten artifacts
                succeeds (run launcher 2 (training "run" file artifacts))
                isSame artifacts (undisturbed launcher folder file))

            mpiTest launcher "told to stop, the launcher leaves a run that goes on" (fun folder ->
                let file = written folder 150
                let artifacts = within folder "several"
                let started = start launcher [ plain 2 ] (training "run" file artifacts)
                untilStep started artifacts 20L
                kill "-TERM" started
                let finished = finish started
                // its exit code is the launcher's own affair: 1 of Open MPI's, 0 of MPICH's
                waitForEnd artifacts
                // saved, or killed before: Open MPI's waits for a second only
                Expect.equal
                    (Store.status (runFolder artifacts) (record artifacts))
                    RunStatus.Interrupted
                    finished.Errors

                nothingHalfWritten artifacts
                succeeds (run launcher 2 (training "run" file artifacts))
                isSame artifacts (undisturbed launcher folder file))

            mpiTest launcher "another configuration on a rank is refused with its number" (fun folder ->
                let one, other = within folder "one", within folder "other"
                Directory.CreateDirectory one |> ignore
                Directory.CreateDirectory other |> ignore
                written one 60 |> ignore
                written other 61 |> ignore
                let artifacts = within folder "several"

                let ranks = [
                    {
                        Count = 1
                        Shell = $"cd {quoted one} && exec "
                    }
                    {
                        Count = 1
                        Shell = $"cd {quoted other} && exec "
                    }
                ]

                let finished =
                    finish (start launcher ranks (training "train" "tiny.json" artifacts))

                Expect.equal finished.ExitCode 2 finished.Errors
                says 1 "expected the settings and input" finished
                nothingHalfWritten artifacts)

            mpiTest launcher "a rank without the images ends all with its number" (fun folder ->
                need canMount.Value "unshare -m: not allowed here"
                let file = written folder 60
                let artifacts = within folder "several"
                let datasets = Path.Combine(artifacts, RunLayout.Datasets)
                Directory.CreateDirectory datasets |> ignore

                let without = {
                    Count = 1
                    Shell = withMounts $"mount -t tmpfs none {quoted datasets}"
                }

                let finished =
                    finish (start launcher [ plain 1; without ] (training "train" file artifacts))

                Expect.equal finished.ExitCode 3 finished.Errors
                says 1 datasets finished
                nothingHalfWritten artifacts)

        mpiTest openMpi "two hosts: one training over a network" (fun folder ->
            if not (canMount.Value && File.Exists "/usr/bin/ip") then
                skiptest "no network namespaces: ip (iproute2) and root are needed"

            let file = written folder 60
            let artifacts = within folder "several"
            let script = Path.Combine(repository, "tests", "Parallel", "hosts")

            let dq = "dotnet" :: List.map quoted (program :: training "run" file artifacts)

            let finished =
                finish (startShell $"""exec {quoted script} 2 1 {String.concat " " dq}""")

            succeeds finished
            isAlike artifacts (alone folder file)

            Expect.equal (record artifacts).Ranks (Nullable 3) "ranks")

        mpiTest openMpi "a full disk ends all ranks, and with room the same command goes on" (fun folder ->
            need canMount.Value "unshare -m: not allowed here"
            let file = written folder 150
            let artifacts, kept = within folder "several", within folder "kept"
            Directory.CreateDirectory artifacts |> ignore
            let ranks = command openMpi [ plain 2 ] (training "run" file artifacts)

            // room for the images and some checkpoints; the lines in between are the shell's, on a file system of its own
            let script =
                String.concat "\n" [
                    $"mount -t tmpfs -o size=400k none {quoted artifacts}"
                    ranks
                    "echo first $?"
                    $"find {quoted artifacts} -name '*.tmp' | sed 's/^/left /'"
                    $"mount -o remount,size=100m {quoted artifacts}"
                    ranks
                    "echo second $?"
                    $"cp -r {quoted artifacts} {quoted kept}"
                ]

            let finished = finish (startShell $"exec unshare -m sh -c {quoted script}")
            Expect.stringContains finished.Output "first 3" finished.Errors
            Expect.stringContains finished.Errors "what was there before is intact" "the reason"
            Expect.isFalse (finished.Output.Contains "left ") "nothing half-written"
            Expect.stringContains finished.Output "second 0" finished.Errors
            isAlike kept (alone folder file))
    ]
