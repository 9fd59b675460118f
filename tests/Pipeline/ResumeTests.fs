/// Kills the real program at random moments, some while a checkpoint is being written, and has it go on until it is done.
module DQ.Tests.Pipeline.ResumeTests

open System
open System.Diagnostics
open System.IO
open System.Text.Json.Nodes
open System.Threading
open Expecto
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Storage
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program

/// Two levels, k-means and revival on. The first learning rate is one that no weight survives: the steps after the first
/// are skipped until training goes back, with a rate of 1e-3.
let private config =
    """{ "data": { "count": 60, "image_size": 8, "flip": true },
         "model": { "channels": 8, "residual_channels": 8, "coder_blocks": 1, "codes": [8, 8], "codebooks": 2, "code_width": 4 },
         "training": { "steps": 320, "batch_size": 4, "learning_rate": 1e38, "log_every": 4, "validate_every": 6, "checkpoint_every": 5,
                       "sample_every": 100, "initialization_batches": 2, "skip_limit": 12, "fallback_factor": 1e-41 },
         "evaluation": { "samples": 2 } }"""

let private command folder artifacts =
    let file = Path.Combine(folder, "tiny.json")
    File.WriteAllText(file, config)
    [ "run"; file; "--artifacts"; artifacts; "--quiet" ]

/// The run's folder; None before there is one. One whose making was cut short has no run.json.
let private runFolder artifacts =
    let runs = Path.Combine(artifacts, RunLayout.Runs)

    if Directory.Exists runs then
        Directory.GetDirectories runs
        |> Array.tryFind (fun folder -> File.Exists(Path.Combine(folder, RunLayout.Run)))
    else
        None

let private checkpointFiles artifacts (pattern: string) =
    match runFolder artifacts with
    | Some run when Directory.Exists(Path.Combine(run, RunLayout.Checkpoints)) ->
        Directory.GetFiles(Path.Combine(run, RunLayout.Checkpoints), pattern)
    | _ -> [||]

let private latestStep artifacts =
    checkpointFiles artifacts "step-*.json" |> Array.sort |> Array.tryLast

/// Waits for something the process does; false where it ended before. Without rest: what is waited for may be over in a moment.
let private until (started: Process) (reached: unit -> bool) =
    let clock = Stopwatch.StartNew()
    let mutable seen = reached ()

    while not seen && not started.HasExited do
        if clock.Elapsed > patience then
            failtest "the process does not get on"

        Thread.Yield() |> ignore
        seen <- reached ()

    seen

type private Kills = {
    InAll: int
    /// Left a checkpoint's temporary file.
    WhileWriting: int
    /// Left tensors without their state.
    BetweenTensorsAndState: int
}

/// One life of the process: started, and killed when `moment` returns.
let private killed artifacts arguments (moment: Process -> unit) (kills: Kills) =
    let started = start arguments
    moment started

    if started.HasExited then
        finish started |> ignore
        kills
    else
        started.Kill()
        finish started |> ignore

        let states =
            checkpointFiles artifacts "step-*.json"
            |> Array.map Path.GetFileNameWithoutExtension

        let stateless =
            checkpointFiles artifacts "step-*.safetensors"
            |> Array.exists (fun file -> not (Array.contains (Path.GetFileNameWithoutExtension file) states))

        {
            InAll = kills.InAll + 1
            WhileWriting =
                kills.WhileWriting
                + (if checkpointFiles artifacts "*.tmp" <> [||] then 1 else 0)
            BetweenTensorsAndState = kills.BetweenTensorsAndState + (if stateless then 1 else 0)
        }

let private withoutTimes (tree: JsonNode | null) =
    let tree = (nonNull tree).AsObject()

    for key in [ "seconds"; "images_per_second"; "fingerprint" ] do
        tree.Remove key |> ignore

    tree.ToJsonString()

/// Everything a run leaves that must not depend on what happened to the process: by name, comparable text.
let private outcome artifacts =
    let run = (runFolder artifacts).Value
    let inRun (file: string) = Path.Combine(run, file)

    let record = ArtifactJson.Read<RunRecord>(inRun RunLayout.Run)

    [
        for log in [ RunLayout.Metrics; RunLayout.Events ] do
            for number, line in Array.indexed (File.ReadAllLines(inRun log)) do
                $"{log} {number}", withoutTimes (JsonNode.Parse line)

        RunLayout.Evaluation, withoutTimes (JsonNode.Parse(File.ReadAllText(inRun RunLayout.Evaluation)))
        RunLayout.Codebooks, File.ReadAllText(inRun RunLayout.Codebooks)
        let trained = nonNull record.Trained
        let headline = (Contexts.autoencoderOf record).Headline
        RunLayout.Run, $"{record.Status} {record.StepsDone} {trained.ImagesSeen} {trained.BestStep} {headline}"

        for file in Directory.GetFiles(run, "*", SearchOption.AllDirectories) |> Array.sort do
            let bytes () =
                Convert.ToHexString(Security.Cryptography.SHA256.HashData(File.ReadAllBytes file))

            Path.GetRelativePath(run, file),
            (match Path.GetExtension file with
             | ".safetensors"
             | ".png" -> bytes ()
             | _ -> "")
    ]

/// A run that was killed at many moments, and went on each time until it was done.
let private disturbedRun (random: Random) artifacts arguments =
    let atAnyTime (limit: int) (started: Process) =
        started.WaitForExit(random.Next limit) |> ignore

    let afterProgress (started: Process) =
        let before = latestStep artifacts

        if until started (fun () -> latestStep artifacts <> before) then
            atAnyTime 120 started

    let writing (started: Process) =
        afterProgress started
        until started (fun () -> checkpointFiles artifacts "*.tmp" <> [||]) |> ignore

    let completed (started: Process) =
        until started (fun () ->
            match runFolder artifacts with
            | Some run -> (Store.read run).Status = RunStatus.Completed
            | None -> false)
        |> ignore

    let moments = [
        yield! List.replicate 3 (atAnyTime 1500)
        yield! List.concat (List.replicate 9 [ writing; afterProgress ])
        completed
    ]

    let kills =
        moments
        |> List.fold (fun kills moment -> killed artifacts arguments moment kills) {
            InAll = 0
            WhileWriting = 0
            BetweenTensorsAndState = 0
        }

    printfn
        $"{kills.InAll} kills, {kills.WhileWriting} while a checkpoint was being written, {kills.BetweenTensorsAndState} between its tensors and its state"

    let last = run arguments
    Expect.equal last.ExitCode 0 last.Errors
    kills

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Resume" [
        test "killed at random moments, a run ends with the weights, lines, events and evaluation of an undisturbed one" {
            inFolder (fun folder ->
                let undisturbed = Path.Combine(folder, "undisturbed")
                Expect.equal (run (command folder undisturbed)).ExitCode 0 "undisturbed"
                let expected = outcome undisturbed

                Expect.exists
                    expected
                    (fun (name, line) -> name.StartsWith RunLayout.Events && line.Contains "fell_back")
                    "going back is among it"

                // which moments are hit is the machine's affair: every run has to end like the undisturbed one, and one that was hit
                // too seldom is followed by another
                let rec disturb number =
                    let disturbed = Path.Combine(folder, $"disturbed{number}")
                    let kills = disturbedRun (Random number) disturbed (command folder disturbed)

                    for (name, expected), (found, value) in List.zip expected (outcome disturbed) do
                        Expect.equal found name "the same files and lines"
                        Expect.equal value expected name

                    if kills.InAll < 20 || kills.WhileWriting = 0 then
                        Expect.isLessThan number 8 $"runs are not hit: %A{kills}"
                        disturb (number + 1)

                disturb 1)
        }
    ]
