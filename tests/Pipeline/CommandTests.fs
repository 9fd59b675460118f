/// The program as a process: what it prints, leaves behind and exits with.
module DQ.Tests.Pipeline.CommandTests

open System
open System.Diagnostics
open System.IO
open System.Text.Json.Nodes
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program

let private tiny steps =
    $$"""{ "data": { "count": 60, "image_size": 8 },
           "model": { "channels": 8, "residual_channels": 8, "coder_blocks": 1, "codes": [8, 8], "codebooks": 2, "code_width": 4 },
           "training": { "steps": {{steps}}, "batch_size": 4, "log_every": 10, "validate_every": 25, "checkpoint_every": 20,
                         "sample_every": 0, "initialization_batches": 2 },
           "evaluation": { "samples": 2 } }"""

let private written folder steps =
    let file = Path.Combine(folder, "tiny.json")
    File.WriteAllText(file, tiny steps)
    file

let private runIn artifacts command config more =
    [ command; config; "--artifacts"; artifacts ] @ more

let private runFolder artifacts =
    Directory.GetDirectories(Path.Combine(artifacts, RunLayout.Runs))
    |> Array.exactlyOne

let private record artifacts =
    ArtifactJson.Read<RunRecord>(Path.Combine(runFolder artifacts, RunLayout.Run))

let private lastWeights artifacts =
    File.ReadAllBytes(Checkpoints.weights (runFolder artifacts) (record artifacts).StepsDone)

/// Step of the latest checkpoint; 0 before there is one.
let private latestCheckpoint artifacts =
    if Directory.Exists artifacts then
        Directory.GetFiles(artifacts, "step-*.json", SearchOption.AllDirectories)
        |> Array.map (fun file -> int64 ((nonNull (Path.GetFileNameWithoutExtension file))["step-".Length ..]))
        |> Array.fold max 0L
    else
        0L

/// Suspends a training where it writes nothing, so that others can look at its folder.
let rec private suspend artifacts (started: Process) =
    kill "-STOP" started

    let isFree =
        try
            (FileGuard.enter (Path.Combine(runFolder artifacts, RunLayout.LockGuard)) TimeSpan.Zero).Dispose()
            true
        with :? IOException ->
            false

    if not isFree then
        kill "-CONT" started
        suspend artifacts started

/// A training that is suspended in its first half, after a checkpoint beyond a step. One that was further before it could be suspended
/// shows nothing, and is made again from the start.
let private suspendedBeyond step artifacts shell arguments =
    let rec attempt left =
        let started = startAfter shell arguments
        let reached = waitFor started (fun () -> latestCheckpoint artifacts > step)

        if reached then
            suspend artifacts started

        let inFirstHalf () =
            let record = record artifacts

            record.Status = RunStatus.Running
            && 2L * latestCheckpoint artifacts <= record.Steps

        if reached && not started.HasExited && inFirstHalf () then
            started
        else
            kill "-KILL" started
            let finished = finish started
            Expect.isTrue (reached && left > 0) $"no training to be suspended: {finished.Errors}"
            Directory.Delete(artifacts, true)
            attempt (left - 1)

    attempt 4

/// What became of a suspended training that got a signal.
let private resumedWith signal (suspended: Process) =
    kill signal suspended
    kill "-CONT" suspended
    finish suspended

let private errorLines (finished: Finished) =
    finished.Errors.Split('\n') |> Array.filter _.StartsWith("dq: ")

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Commands" [
        test "help has an example and exits 0; a wrong command line is one line and exits 2" {
            let help = run [ "train"; "--help" ]
            Expect.equal help.ExitCode 0 "help"
            Expect.stringContains help.Output "dq train configs/quickstart.json" "the example"

            for wrong in [ [ "rnu" ]; [ "run" ]; [ "run"; "missing.json" ]; [ "reconstruct"; "a.png" ] ] do
                let finished = run wrong
                Expect.equal finished.ExitCode 2 $"%A{wrong}"
                Expect.hasLength (errorLines finished) 1 $"%A{wrong}: %s{finished.Errors}"
                Expect.isFalse (finished.Errors.Contains "   at ") "no stack trace"
        }

        test "minutes that no timer holds are one line and exit 2" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")
                let config = written folder 2

                for minutes in [ "-1"; "0"; "NaN"; "1e9" ] do
                    let finished = run (runIn artifacts "train" config [ "--max-minutes"; minutes ])
                    Expect.equal finished.ExitCode 2 finished.Errors
                    Expect.hasLength (errorLines finished) 1 finished.Errors
                    Expect.stringContains finished.Errors "--max-minutes" minutes

                Expect.isFalse (Directory.Exists artifacts) "nothing was made")
        }

        test "commands that only read make no artifacts folder" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")

                for command, exitCode in
                    [
                        [ "runs"; "list" ], 0
                        [ "plan"; written folder 2 ], 0
                        [ "evaluate"; "none" ], 3
                        [ "reconstruct"; "a.png"; "--run"; "none" ], 3
                    ] do
                    let finished = run (command @ [ "--artifacts"; artifacts ])
                    Expect.equal finished.ExitCode exitCode $"%A{command}: %s{finished.Errors}"
                    Expect.isFalse (Directory.Exists artifacts) $"%A{command}")
        }

        test "pictures that would replace one another are refused before anything is written" {
            inFolder (fun folder ->
                let out = Path.Combine(folder, "out")

                let finished =
                    run [
                        "reconstruct"
                        "q/x.png"
                        "x.png"
                        "--checkpoint"
                        "c.safetensors"
                        "-o"
                        out
                    ]

                Expect.equal finished.ExitCode 2 finished.Errors
                Expect.stringContains finished.Errors "q/x.png and x.png" "which"
                Expect.isFalse (Directory.Exists out) "nothing was made")
        }

        test "a bad configuration is one line per problem, and leaves nothing behind" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")
                let config = Path.Combine(folder, "bad.json")
                File.WriteAllText(config, """{ "model": { "codes": [0] }, "training": { "learning_rate": -1 } }""")
                let finished = run (runIn artifacts "run" config [])
                Expect.equal finished.ExitCode 2 "exit code"
                let lines = errorLines finished
                Expect.isTrue (lines |> Array.exists _.Contains($"{config}: model.codes[0]: ")) "file, key"
                Expect.isTrue (lines |> Array.exists _.Contains($"{config}: training.learning_rate: ")) "all at once"
                Expect.hasLength lines 2 "and no more"
                Expect.isFalse (Directory.Exists artifacts) "nothing was made")
        }

        test "artifacts that can't be made are one line and exit 3" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "file")
                File.WriteAllText(file, "")

                let finished =
                    run (runIn (Path.Combine(file, "artifacts")) "run" (written folder 2) [])

                Expect.equal finished.ExitCode 3 "exit code"
                Expect.hasLength (errorLines finished) 1 finished.Errors)
        }

        test "run trains and evaluates; run again reuses everything; its JSON is all that standard output has" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")
                let config = written folder 20
                let first = run (runIn artifacts "run" config [])
                Expect.equal first.ExitCode 0 first.Errors
                Expect.stringContains first.Output "reconstruction, nats/dim" "the table"
                let weights = lastWeights artifacts
                let again = run (runIn artifacts "run" config [ "--json" ])
                Expect.equal again.ExitCode 0 again.Errors

                for stage in [ "ingest"; "train tiny"; "evaluate tiny" ] do
                    Expect.stringContains again.Errors $"{stage}: done before, reused" stage

                let result = (nonNull (JsonNode.Parse again.Output)).["runs"] |> nonNull
                Expect.equal (string (nonNull result[0]).["id"]) (record artifacts).Id "the same run"
                Expect.equal (lastWeights artifacts) weights "untouched"

                let plan = run (runIn artifacts "plan" config [ "--set"; "training.steps=30" ])
                Expect.stringContains plan.Output "training.steps 20 → 30" "why it is new"

                let picture = Path.Combine(folder, "odd.png")

                let pixels =
                    PixelImage([| for place in 0 .. 3 * 13 * 21 - 1 -> byte (place % 251) |], 3, 13, 21)

                File.WriteAllBytes(picture, ImageFile.EncodePng pixels)
                let out = Path.Combine(folder, "out")

                let made =
                    run [
                        "reconstruct"
                        picture
                        "--run"
                        "tiny"
                        "--artifacts"
                        artifacts
                        "-o"
                        out
                        "--json"
                    ]

                Expect.equal made.ExitCode 0 made.Errors
                let back = ImageFile.Read(Path.Combine(out, "odd.reconstruction.png"))
                Expect.equal (back.Height, back.Width) (13, 21) "any size"

                let image =
                    (nonNull (nonNull (JsonNode.Parse made.Output)).["images"]).[0] |> nonNull
                // padded to 16 × 24: grids of 8 × 12 and 4 × 6, 2 codebooks of 3 bits
                let expected = 2.0 * 3.0 * float (8 * 12 + 4 * 6) / float (3 * 13 * 21)

                Expect.floatClose
                    Accuracy.high
                    (float (nonNull image["code_rate_uniform_bits_per_dim"]))
                    expected
                    "its code rate"

                let text = Path.Combine(folder, "text.png")
                File.WriteAllText(text, "not a picture")

                let refused =
                    run [ "reconstruct"; text; "--run"; "tiny"; "--artifacts"; artifacts; "-o"; out ]

                Expect.equal refused.ExitCode 3 refused.Errors
                Expect.hasLength (errorLines refused) 1 refused.Errors

                let train =
                    Directory.GetFiles(artifacts, "train.u8", SearchOption.AllDirectories)
                    |> Array.exactlyOne

                let bytes = File.ReadAllBytes train
                bytes[0] <- bytes[0] ^^^ 1uy
                File.WriteAllBytes(train, bytes)
                let changed = run (runIn artifacts "run" config [])
                Expect.equal changed.ExitCode 3 changed.Errors
                Expect.stringContains changed.Errors "SHA-256" "a data set that changed since"
                let plan = run (runIn artifacts "plan" config [])
                Expect.equal plan.ExitCode 3 "a plan doesn't call it reusable either"
                Expect.stringContains plan.Errors "SHA-256" plan.Errors)
        }

        test "SIGTERM saves and exits 143; the same command goes on to the weights of an undisturbed run" {
            inFolder (fun folder ->
                let steps = 400
                let config = written folder steps
                let disturbed = Path.Combine(folder, "b")
                let arguments = runIn disturbed "train" config []
                let started = suspendedBeyond 0L disturbed "" arguments

                // as long as it lives, nobody else may
                let second = run arguments
                Expect.equal second.ExitCode 3 second.Errors
                Expect.stringContains second.Errors "works on this run" "refused"

                let stopped = resumedWith "-TERM" started
                Expect.equal stopped.ExitCode 143 stopped.Errors
                let interrupted = record disturbed
                Expect.equal interrupted.Status RunStatus.Interrupted "run.json says so"
                Expect.isTrue (interrupted.StepsDone > 0L && interrupted.StepsDone < int64 steps) "in the middle"

                // again, without warning this time
                let started = start arguments

                waitFor started (fun () -> latestCheckpoint disturbed > interrupted.StepsDone)
                |> ignore

                kill "-KILL" started
                finish started |> ignore

                let finished = run arguments
                Expect.equal finished.ExitCode 0 finished.Errors
                let undisturbed = Path.Combine(folder, "a")
                Expect.equal (run (runIn undisturbed "train" config [])).ExitCode 0 "undisturbed"
                Expect.equal (lastWeights disturbed) (lastWeights undisturbed) "the same bytes")
        }

        test "--max-minutes saves and exits 0, and what follows is left for the next time" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")

                let config = written folder 1_000_000

                let first =
                    resumedWith "-TERM" (suspendedBeyond 0L artifacts "" (runIn artifacts "run" config []))

                Expect.equal first.ExitCode 143 "stopped in the middle"
                let before = (record artifacts).StepsDone

                // until the minutes are enough to go on from there, which on a busy machine takes more of them
                let rec lasting (minutes: float) =
                    let stopped = run (runIn artifacts "run" config [ "--max-minutes"; string minutes ])
                    Expect.equal stopped.ExitCode 0 stopped.Errors
                    Expect.stringContains stopped.Errors "saved, the same command continues" "it says so"
                    let record = record artifacts
                    Expect.equal record.Status RunStatus.Interrupted "not completed"

                    if record.StepsDone = before then
                        Expect.isLessThan minutes patience.TotalMinutes "it never goes on"
                        lasting (2.0 * minutes)
                    else
                        Expect.equal (latestCheckpoint artifacts) record.StepsDone "what was learned is saved"

                lasting 0.05)
        }

        test "a disk that is full while a checkpoint is written leaves the one before intact" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")
                let arguments = runIn artifacts "train" (written folder 300) []
                let stopped = resumedWith "-TERM" (suspendedBeyond 0L artifacts "" arguments)
                Expect.equal stopped.ExitCode 143 "stopped in the middle"
                let before = lastWeights artifacts
                // 100 blocks of 512 bytes: enough for all but a checkpoint
                let full = finish (startAfter "ulimit -f 100; " arguments)
                Expect.equal full.ExitCode 3 full.Errors
                Expect.hasLength (errorLines full) 1 full.Errors
                Expect.equal (lastWeights artifacts) before "intact"
                let checkpoints = Path.Combine(runFolder artifacts, RunLayout.Checkpoints)
                Expect.isEmpty (Directory.GetFiles(checkpoints, "*.tmp")) "nothing half-written"
                Expect.equal (run arguments).ExitCode 0 "with room again, it goes on"
                Expect.equal (record artifacts).Status RunStatus.Completed "to the end")
        }

        test "a folder that can't be written to leaves the checkpoint before intact" {
            // root may write everywhere, but for a root without that capability
            let humble =
                if Environment.UserName = "root" then
                    "exec setpriv --bounding-set=-dac_override sh -c '\"$@\"' sh "
                else
                    ""

            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")
                let arguments = runIn artifacts "train" (written folder 300) [ "--keep"; "1" ]
                let stopped = resumedWith "-TERM" (suspendedBeyond 0L artifacts "" arguments)
                Expect.equal stopped.ExitCode 143 "stopped in the middle"
                let before = lastWeights artifacts
                let checkpoints = Path.Combine(runFolder artifacts, RunLayout.Checkpoints)
                let mode = File.GetUnixFileMode checkpoints
                File.SetUnixFileMode(checkpoints, UnixFileMode.UserRead ||| UnixFileMode.UserExecute)
                let denied = finish (startAfter humble arguments)
                File.SetUnixFileMode(checkpoints, mode)
                Expect.equal denied.ExitCode 3 denied.Errors
                Expect.hasLength (errorLines denied) 1 denied.Errors
                Expect.stringContains denied.Errors checkpoints "which"
                Expect.equal (lastWeights artifacts) before "intact"

                // an unfinished run is evaluated as it is, and that is said
                let evaluated = run [ "evaluate"; "tiny"; "--artifacts"; artifacts ]
                Expect.equal evaluated.ExitCode 0 evaluated.Errors
                let unfinished = record artifacts

                Expect.stringContains
                    evaluated.Errors
                    $"interrupted at step {unfinished.StepsDone} of 300: evaluated as it is"
                    "it says so"

                Expect.equal
                    (nonNull (Contexts.autoencoderOf unfinished).Headline).Step
                    unfinished.StepsDone
                    "the headline names the step"

                Expect.equal (run arguments).ExitCode 0 "with leave to write, it goes on"
                Expect.isNull (Contexts.autoencoderOf (record artifacts)).Headline "which is another model"
                Expect.hasLength (Directory.GetFiles(checkpoints, "step-*.safetensors")) 1 "--keep 1"

                // how many are kept makes no other run
                let again = run (runIn artifacts "train" (written folder 300) [ "--keep"; "3" ])
                Expect.stringContains again.Errors "done before, reused" "the same run"

                File.Delete(Checkpoints.weights (runFolder artifacts) (record artifacts).StepsDone)
                let missing = run [ "evaluate"; "tiny"; "--artifacts"; artifacts ]
                Expect.equal missing.ExitCode 3 missing.Errors
                Expect.hasLength (errorLines missing) 1 missing.Errors)
        }

        test "of two that take an interrupted run up at once, exactly one does" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")
                // more steps than the one that gets it can end before the other has asked
                let arguments = runIn artifacts "train" (written folder 1_000_000) []
                let started = suspendedBeyond 0L artifacts "" arguments
                kill "-KILL" started
                finish started |> ignore
                let both = [ start arguments; start arguments ]
                waitFor both[0] (fun () -> both[1].HasExited) |> ignore
                let refused, working = both |> List.partition _.HasExited
                let refused = finish (List.exactlyOne refused)
                Expect.equal refused.ExitCode 3 refused.Errors
                Expect.stringContains refused.Errors "works on this run" "the other is refused"
                let working = List.exactlyOne working
                kill "-TERM" working
                Expect.equal (finish working).ExitCode 143 "the one that got it")
        }

        test "going on with another number of threads is an event" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")
                let arguments = runIn artifacts "train" (written folder 300) []

                let stoppedBeyond step =
                    let stopped = resumedWith "-TERM" (suspendedBeyond step artifacts "" arguments)
                    Expect.equal stopped.ExitCode 143 "stopped in the middle"
                    (record artifacts).StepsDone

                stoppedBeyond (stoppedBeyond 0L) |> ignore
                let events = Path.Combine(runFolder artifacts, RunLayout.Events)
                Expect.isFalse ((File.ReadAllText events).Contains "resumed_elsewhere") "none without a change"
                let step = (record artifacts).StepsDone
                let last = finish (startAfter "export OMP_NUM_THREADS=2; " arguments)
                Expect.equal last.ExitCode 0 last.Errors

                let event =
                    File.ReadAllLines events
                    |> Array.map (fun line -> nonNull (JsonNode.Parse line))
                    |> Array.filter (fun line -> string line["kind"] = "resumed_elsewhere")
                    |> Array.exactlyOne

                Expect.equal (int64 (nonNull event["step"])) step "where"
                Expect.stringContains (string event["message"]) "with 2 threads, before on cpu with 1" "what changed")
        }

        test "doctor says what it found, for people and for machines" {
            let found = run [ "doctor"; "--json" ]
            Expect.equal found.ExitCode 0 found.Errors
            let tree = nonNull (JsonNode.Parse found.Output)
            let libtorch = nonNull tree["libtorch"]
            Expect.equal (string libtorch["found_torch_version"]) (string libtorch["expected_torch_version"]) "libtorch"
            Expect.isTrue (int64 (nonNull tree["memory_total_bytes"]) > 0L) "memory"

            let missing = run [ "doctor"; "--libtorch"; "no-such-folder" ]
            Expect.equal missing.ExitCode 1 "libtorch does not load"
            Expect.stringContains missing.Output "libtorch_cpu" "what was expected"
        }
    ]
