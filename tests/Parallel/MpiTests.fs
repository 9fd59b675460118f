module DQ.Tests.Parallel.MpiTests

open System
open System.IO
open Expecto
open DQ.Core.Artifacts
open DQ.Pipeline.Storage
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program
open DQ.Tests.Parallel.Mpi
open DQ.Tests.Parallel.TinyRuns

let private within folder name = Path.Combine(folder, name)

/// A line of dq about this rank that has these words.
let private says (rank: int) (words: string) (finished: Finished) =
    Expect.exists
        (finished.Errors.Split '\n')
        (fun line -> line.Contains $"rank {rank} on " && line.Contains words)
        finished.Errors

let private mpiTest launcher name body =
    test $"{launcher.Name}: {name}" {
        needLauncher launcher
        inFolder body
    }

/// On a busy machine a run goes further before it is disturbed, and rounding grows with the steps: no further than this is compared.
let private furthest = 60L

[<Tests>]
let tests =
    testSequenced
    <| testList "Parallel.Mpi" [
        for launcher, ranks in [ openMpi, 2; mpich, 4 ] do
            mpiTest launcher $"{ranks} ranks train what one process trains" (fun folder ->
                let artifacts = within folder "several"
                let command = commandOf "run" (written folder shortSteps) artifacts
                let finished = run launcher ranks (command @ [ "--json" ])
                succeeds finished
                // of one rank, and nothing else beside it
                Expect.isNotNull (Text.Json.Nodes.JsonNode.Parse finished.Output) finished.Output
                isAlike artifacts alone.Value shortSteps
                let record = record artifacts
                Expect.equal record.Status RunStatus.Completed "status"
                Expect.equal record.Ranks (Nullable ranks) "ranks"
                Expect.isTrue (File.Exists(Path.Combine(runFolder artifacts, RunLayout.Evaluation))) "evaluated once"
                // a second call finds it, on all ranks
                let again = run launcher 2 command
                succeeds again
                Expect.stringContains again.Errors "done before, reused" "finds it")

        mpiTest openMpi "stopped with 4 ranks, a run goes on with 2 and with 1" (fun folder ->
            let file = written folder endlessSteps
            let artifacts, alone = within folder "several", within folder "alone"
            let command = commandOf "train" file

            for started in
                [
                    fun () -> start openMpi [ plain 4 ] (command artifacts)
                    fun () -> start openMpi [ plain 2 ] (command artifacts)
                    fun () -> DQ.Tests.Pipeline.Program.start (command artifacts)
                ] do
                let finished = disturbed artifacts (started ()) (toOneRank "-TERM" artifacts)
                stopped finished artifacts

            let step = min furthest (lastRegular artifacts)

            stopped
                (disturbedAt step alone (DQ.Tests.Pipeline.Program.start (command alone)) (toOneRank "-TERM" alone))
                alone

            isAlike artifacts alone step)

        for launcher in [ openMpi; mpich ] do
            mpiTest
                launcher
                "a rank is killed, then the launcher is told to stop: the same command goes on, as if nothing had been"
                (fun folder ->
                    let file = written folder endlessSteps
                    let artifacts, undisturbed = within folder "several", within folder "undisturbed"
                    let command = commandOf "train" file

                    let started () =
                        start launcher [ plain 2 ] (command artifacts)

                    let status () =
                        Store.status (runFolder artifacts) (record artifacts)

                    let killed = disturbed artifacts (started ()) (toOneRank "-KILL" artifacts)
                    Expect.equal killed.ExitCode launcher.ExitCodeOfKilled killed.Errors
                    // the launcher's line
                    Expect.stringContains (killed.Output + killed.Errors) launcher.LineOfKilled "which one was killed"
                    Expect.equal (status ()) RunStatus.Interrupted "status"

                    // its exit code is the launcher's own affair; saved, or killed before: Open MPI's waits for a second only
                    let told = disturbed artifacts (started ()) (kill "-TERM")
                    Expect.equal (status ()) RunStatus.Interrupted told.Errors

                    let last = disturbed artifacts (started ()) (toOneRank "-TERM" artifacts)
                    stopped last artifacts
                    let step = lastRegular artifacts
                    let other = start launcher [ plain 2 ] (command undisturbed)
                    stopped (disturbedAt step undisturbed other (toOneRank "-TERM" undisturbed)) undisturbed
                    isSame artifacts undisturbed step)

        mpiTest mpich "another configuration on a rank is refused with its number" (fun folder ->
            let ranks = [
                for name, steps in [ "one", 30L; "other", 31L ] do
                    let place = within folder name
                    Directory.CreateDirectory place |> ignore
                    written place steps |> ignore

                    {
                        Count = 1
                        Shell = $"cd {quoted place} && exec "
                    }
            ]

            let artifacts = within folder "several"

            let finished = finish (start mpich ranks (commandOf "train" "tiny.json" artifacts))

            Expect.equal finished.ExitCode 2 finished.Errors
            says 1 "expected the settings and input" finished
            nothingHalfWritten artifacts)

        mpiTest openMpi "dq prior is refused with several ranks, in one line" (fun folder ->
            let finished =
                run openMpi 2 [ "prior"; "some-run"; "--artifacts"; within folder "several" ]

            Expect.equal finished.ExitCode 2 finished.Errors

            let lines = finished.Errors.Split '\n' |> Array.filter _.StartsWith("dq")

            Expect.hasLength lines 1 finished.Errors
            Expect.stringContains lines[0] "expected one process, got 2 ranks" "why")

        mpiTest openMpi "a rank without the images ends all with its number" (fun folder ->
            need canMount.Value "unshare -m: not allowed here"
            let file = written folder shortSteps
            let artifacts = within folder "several"
            let datasets = Path.Combine(artifacts, RunLayout.Datasets)
            Directory.CreateDirectory datasets |> ignore

            let without = {
                Count = 1
                Shell = withMounts $"mount -t tmpfs none {quoted datasets}"
            }

            let finished =
                finish (start openMpi [ plain 1; without ] (commandOf "train" file artifacts))

            Expect.equal finished.ExitCode 3 finished.Errors
            says 1 datasets finished
            nothingHalfWritten artifacts)

        mpiTest openMpi "two hosts: one training over a network" (fun folder ->
            if not (canMount.Value && File.Exists "/usr/bin/ip") then
                skiptest "no network namespaces: ip (iproute2) and root are needed"

            let file = written folder shortSteps
            let artifacts = within folder "several"
            let script = Path.Combine(repository, "tests", "Parallel", "hosts")

            let dq = "dotnet" :: List.map quoted (program :: commandOf "train" file artifacts)

            let finished =
                finish (startShell $"""exec {quoted script} 1 1 {String.concat " " dq}""")

            succeeds finished
            isAlike artifacts alone.Value shortSteps
            Expect.equal (record artifacts).Ranks (Nullable 2) "ranks")

        mpiTest openMpi "a full disk ends all ranks, and with room the same command goes on" (fun folder ->
            need canMount.Value "unshare -m: not allowed here"
            let file = written folder shortSteps
            let artifacts, kept = within folder "several", within folder "kept"
            Directory.CreateDirectory artifacts |> ignore
            let ranks = command openMpi [ plain 2 ] (commandOf "train" file artifacts)

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
            Expect.stringContains finished.Errors "existing files are unchanged" "the reason"
            Expect.isFalse (finished.Output.Contains "left ") "nothing half-written"
            Expect.stringContains finished.Output "second 0" finished.Errors
            isAlike kept alone.Value shortSteps)
    ]
