module DQ.Tests.Pipeline.LoopTests

open System
open System.IO
open System.Text.Json.Nodes
open System.Threading
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Formats
open DQ.Core.Images
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Stages
open DQ.Pipeline.Data
open DQ.Tests.Pipeline.Contexts
open DQ.Tests.Pipeline.TinyRuns
open DQ.Tests.TemporaryFolder

let private withoutTimes (file: string) =
    File.ReadAllLines file
    |> Array.map (fun line ->
        let tree = (nonNull (JsonNode.Parse line)).AsObject()

        for key in [ "seconds"; "images_per_second" ] do
            tree.Remove key |> ignore

        tree.ToJsonString())

let private weights (run: Train.TrainedRun) =
    File.ReadAllBytes(Checkpoints.weights run.Folder run.Record.Steps)

/// The checkpoints' folder: names, and the tensors' bytes.
let private files (run: Train.TrainedRun) = [
    for file in
        Directory.GetFiles(Path.Combine(run.Folder, RunLayout.Checkpoints))
        |> Array.sort do
        Path.GetFileName file,
        if file.EndsWith ".safetensors" then
            Convert.ToHexString(Security.Cryptography.SHA256.HashData(File.ReadAllBytes file))
        else
            ""
]

let private runFolder root =
    Directory.GetDirectories(Path.Combine(root, RunLayout.Runs)) |> Array.exactlyOne

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Loop" [
        test "a run that was stopped goes on to the same weights and the same lines" {
            inFolder (fun root ->
                let undisturbed = train (Path.Combine(root, "a")) None (variant []) |> finished
                let elsewhere = Path.Combine(root, "b")

                // within a window of metrics, at a line, after a validation
                for step in [ 5L; 16L; 18L ] do
                    match train elsewhere (Some step) (variant []) with
                    | Error(Interrupted 15) -> ()
                    | other -> failtestf "expected to be interrupted, got %A" other

                let resumed = train elsewhere None (variant []) |> finished
                Expect.equal (weights resumed) (weights undisturbed) "the same bytes"

                Expect.equal
                    (withoutTimes (metrics resumed.Folder))
                    (withoutTimes (metrics undisturbed.Folder))
                    "the same lines, none lost or doubled"

                Expect.equal (files resumed) (files undisturbed) "the same checkpoints, the best among them"

                Expect.equal resumed.Record.Status RunStatus.Completed "completed"

                Expect.equal
                    (Seq.toList resumed.Record.ResumedAtSteps)
                    [ 5L; 16L; 18L ]
                    "it says where it was taken up")
        }

        test "a run killed without warning goes on from its last checkpoint, whatever was written after it" {
            inFolder (fun root ->
                let undisturbed = train (Path.Combine(root, "a")) None (variant []) |> finished
                let elsewhere = Path.Combine(root, "b")
                train elsewhere (Some 16L) (variant []) |> ignore

                let folder =
                    Directory.GetDirectories(Path.Combine(elsewhere, "runs")) |> Array.exactlyOne

                // what a kill may leave: a torn line, weights without their state, a temporary file, a run that says running
                File.AppendAllText(metrics folder, "{\"split\":\"train\",\"step\":2")
                File.WriteAllText(Checkpoints.weights folder 18L, "torn")
                File.WriteAllText(Checkpoints.weights folder 18L + ".x.tmp", "torn")
                let runFile = Path.Combine(folder, RunLayout.Run)
                File.WriteAllText(runFile, File.ReadAllText(runFile).Replace("\"interrupted\"", "\"running\""))

                let resumed = train elsewhere None (variant []) |> finished
                Expect.equal (weights resumed) (weights undisturbed) "the same bytes"

                Expect.equal
                    (withoutTimes (metrics resumed.Folder))
                    (withoutTimes (metrics undisturbed.Folder))
                    "the same lines"

                let left = Directory.GetFiles(Path.Combine(folder, RunLayout.Checkpoints))
                Expect.isFalse (left |> Array.exists _.EndsWith(".tmp")) "nothing half-written is left")
        }

        for what, damage in
            [
                "truncated", (fun (file: string) -> File.WriteAllBytes(file, (File.ReadAllBytes file)[..999]))
                "deleted", File.Delete
                "with one byte changed",
                (fun file ->
                    let content = File.ReadAllBytes file
                    content[content.Length / 2] <- content[content.Length / 2] ^^^ 1uy
                    File.WriteAllBytes(file, content))
            ] do
            test $"a run whose latest checkpoint is {what} goes on from the one before, says so, and ends the same" {
                inFolder (fun folder ->
                    let undisturbed = train (Path.Combine(folder, "a")) None (variant []) |> finished

                    // all of them: training begins again
                    for steps in [ [ 20L ]; [ 0L; 7L; 14L; 20L ] ] do
                        let root = Path.Combine(folder, $"b{steps.Length}")
                        train root (Some 20L) (variant []) |> ignore

                        for step in steps do
                            let file = Checkpoints.weights (runFolder root) step

                            if File.Exists file then
                                damage file

                        let notes = Collections.Generic.List<string>()

                        let run =
                            run (context root (fun _ _ -> ()) notes.Add) (Pipelines.model (variant []))
                            |> finished

                        Expect.equal (weights run) (weights undisturbed) "weights"

                        Expect.equal
                            (withoutTimes (metrics run.Folder))
                            (withoutTimes (metrics undisturbed.Folder))
                            "lines"

                        Expect.equal (files run) (files undisturbed) "checkpoints"

                        let said =
                            if steps.Length = 1 then
                                "going on from the checkpoint of step 14"
                            else
                                "training begins again"

                        Expect.exists notes (fun note -> note.Contains "step-00000020" && note.Contains said) "a note"

                        Expect.stringContains
                            (File.ReadAllText(Path.Combine(run.Folder, RunLayout.Events)))
                            "checkpoint_damaged"
                            "an event")
            }

        test "a finished run whose last checkpoint is damaged goes on from the one before, to the same end" {
            inFolder (fun root ->
                let undisturbed = train root None (variant []) |> finished
                let before = files undisturbed, weights undisturbed
                let last = Checkpoints.weights undisturbed.Folder undisturbed.Record.Steps
                let bytes = File.ReadAllBytes last
                bytes[bytes.Length - 3] <- bytes[bytes.Length - 3] ^^^ 1uy
                File.WriteAllBytes(last, bytes)
                let planned = get (Stage.plan (quiet root).Standing (Pipelines.model (variant [])))

                Expect.equal
                    [ for step in planned.Steps -> step.Action ]
                    [ Action.Reuse; Action.Continue ]
                    "a plan says so"

                let again = train root None (variant []) |> finished
                Expect.equal again.Folder undisturbed.Folder "the same run"
                Expect.equal (files again, weights again) before "the same end")
        }

        test "a run asked for under another name is the one there is, and that is said" {
            inFolder (fun root ->
                let first = train root None (variant [ "name=first" ]) |> finished
                let notes = Collections.Generic.List<string>()
                let other = variant [ "name=other" ]

                let again =
                    run (context root (fun _ _ -> ()) notes.Add) (Pipelines.model other) |> finished

                Expect.equal again.Folder first.Folder "the same run"
                Expect.exists notes (fun note -> note.Contains "under the name first") "said")
        }

        test "what training and evaluation will lack is said before there is a run" {
            for sets, key in
                [
                    [ "data.validation=0" ], "evaluation.splits[0]"
                    [ "data.test=0" ], "evaluation.splits[1]"
                    [ "data.count=3"; "training.batch_size=1" ], "evaluation.splits[0]"
                    [ "training.batch_size=61" ], "training.batch_size"
                ] do
                inFolder (fun root ->
                    match train root None (variant sets) with
                    | Error(Configuration(problem :: _)) -> Expect.equal problem.Key key "the key"
                    | other -> failtestf "%A" other

                    Expect.isEmpty (Directory.GetDirectories(Path.Combine(root, RunLayout.Runs))) "no run")

            inFolder (fun root ->
                variant [ "data.validation=0"; "evaluation.splits=[\"test\"]" ]
                |> train root None
                |> finished
                |> ignore)
        }

        test "the last checkpoints are kept, and the lines say what is asked of them" {
            inFolder (fun root ->
                let run = train root None (variant [ "training.keep=1" ]) |> finished

                let names =
                    Directory.GetFiles(Path.Combine(run.Folder, RunLayout.Checkpoints))
                    |> Array.map Path.GetFileName
                    |> Array.sort

                Expect.equal
                    names
                    [|
                        $"best-{run.Training.BestStep.Value:D8}.safetensors"
                        "step-00000030.json"
                        "step-00000030.safetensors"
                    |]
                    "one and the best"

                let steps split =
                    File.ReadAllLines(metrics run.Folder)
                    |> Array.map (fun line -> nonNull (JsonNode.Parse line))
                    |> Array.filter (fun line -> string line["split"] = split)
                    |> Array.map (fun line -> int (nonNull line["step"]))

                Expect.equal (steps "train") [| 4; 8; 12; 16; 20; 24; 28; 30 |] "every fourth step and the last"
                Expect.equal (steps "validation") [| 6; 12; 18; 24; 30 |] "every sixth step")
        }

        test "steps that are not finite lead back to a checkpoint with a lower rate, and then to an error" {
            inFolder (fun root ->
                // a rate that no float32 weight survives
                let sets = [
                    "training.learning_rate=1e38"
                    "training.schedule=constant"
                    "training.skip_limit=3"
                    "training.fallbacks=2"
                ]

                let variant = variant sets

                match train root None variant with
                | Error(Numerical message as error) ->
                    Expect.equal (StageError.exitCode error) 4 "exit code"
                    Expect.stringContains message "lower training.learning_rate" "what to try"
                | other -> failtestf "expected a numerical failure, got %A" other

                let folder =
                    Directory.GetDirectories(Path.Combine(root, "runs")) |> Array.exactlyOne

                let kinds =
                    File.ReadAllLines(Path.Combine(folder, RunLayout.Events))
                    |> Array.map (fun line -> string (nonNull (JsonNode.Parse line)).["kind"])

                Expect.equal (kinds |> Array.filter ((=) "fell_back") |> Array.length) 2 "went back twice"
                Expect.isTrue (Array.contains "step_skipped" kinds) "each skipped step is an event"
                let run = ArtifactJson.Read<RunRecord>(Path.Combine(folder, RunLayout.Run))
                Expect.equal run.Status RunStatus.Failed "the run says so"
                let state = (Checkpoints.latest folder).Value
                Expect.equal state.Fallbacks 2 "it keeps how often it went back"
                Expect.equal (LoopState.rateFactor variant.Config.Loop state) 0.25 "the rate was halved twice")
        }

        test "a validation that is not finite is null in its line, an event, and never the best" {
            inFolder (fun root ->
                let sets = [
                    "training.learning_rate=1e38"
                    "training.schedule=constant"
                    "training.validate_every=1"
                    "training.skip_limit=3"
                    "training.fallbacks=1"
                ]

                match train root None (variant sets) with
                | Error error -> Expect.equal (StageError.exitCode error) 4 (string error)
                | Ok _ -> failtest "expected a numerical failure"

                let folder =
                    Directory.GetDirectories(Path.Combine(root, "runs")) |> Array.exactlyOne

                let lines file =
                    File.ReadAllLines(Path.Combine(folder, file))
                    |> Array.map (fun line -> nonNull (JsonNode.Parse line))

                Expect.exists
                    (lines RunLayout.Events)
                    (fun line -> string line["kind"] = "validation_not_finite")
                    "an event"

                let validations =
                    lines RunLayout.Metrics
                    |> Array.filter (fun line -> string line["split"] = "validation")

                Expect.isNonEmpty validations "there are lines"

                Expect.all validations (fun line -> isNull line["reconstruction_nats_per_dim"]) "and their losses null"
                Expect.isNone (Checkpoints.best folder) "none is the best"

                Expect.isEmpty
                    (Directory.GetFiles(Path.Combine(folder, RunLayout.Checkpoints), "best*"))
                    "and none lies there")
        }

        test "an exploding loss is skipped and leads back to a lower rate, with which training goes on" {
            inFolder (fun root ->
                let sets = [
                    "model.likelihood.kind=squared_error"
                    "training.learning_rate=1"
                    "training.schedule=constant"
                    "training.skip_limit=2"
                    "training.fallback_factor=1e-3"
                ]

                let run = train root None (variant sets) |> finished

                let events =
                    File.ReadAllLines(Path.Combine(run.Folder, RunLayout.Events))
                    |> Array.map (fun line -> nonNull (JsonNode.Parse line))
                    |> Array.filter (fun line -> (int (nonNull line["step"])) <= 3)

                Expect.equal
                    [ for event in events -> string event["kind"] ]
                    [ "step_skipped"; "step_skipped"; "fell_back" ]
                    "the step after the one that was too long, and the next"

                Expect.stringStarts (string events[0].["message"]) "reconstruction + latent" "why"
                Expect.equal (Checkpoints.latest run.Folder).Value.Fallbacks 1 "once"
                Expect.equal run.Record.StepsDone 30L "to the end")
        }

        test "killed when it goes back, or stopped before, a run goes back to the same checkpoint" {
            inFolder (fun root ->
                let variant =
                    variant [
                        "training.learning_rate=1e38"
                        "training.schedule=constant"
                        "training.skip_limit=3"
                        "training.fallbacks=2"
                        "training.fallback_factor=1e-41"
                    ]

                let undisturbed = train (Path.Combine(root, "a")) None variant |> finished
                Expect.equal (Checkpoints.latest undisturbed.Folder).Value.Fallbacks 1 "it went back once"
                let elsewhere = Path.Combine(root, "b")

                let dying = {
                    quiet elsewhere with
                        Note =
                            fun line ->
                                if line.Contains "back to step" then
                                    failwith "killed"
                }

                // in a row of skipped steps
                for step in [ 2L; 3L ] do
                    train elsewhere (Some step) variant |> ignore

                Expect.throws
                    (fun () -> run dying (Pipelines.model variant) |> ignore)
                    "dies with the event written and the checkpoint not"

                train elsewhere (Some 9L) variant |> ignore
                let resumed = train elsewhere None variant |> finished
                Expect.equal (files resumed) (files undisturbed) "the same checkpoints"

                Expect.equal
                    (withoutTimes (metrics resumed.Folder))
                    (withoutTimes (metrics undisturbed.Folder))
                    "lines"

                let events (run: Train.TrainedRun) =
                    File.ReadAllLines(Path.Combine(run.Folder, RunLayout.Events))

                Expect.equal (events resumed) (events undisturbed) "events")
        }

        test "an owner whose run was taken over stops with one line and writes nothing more" {
            inFolder (fun root ->
                let variant = variant []
                let mutable before = [||]

                let contents folder = [|
                    for file in Directory.GetFiles(folder, "*", SearchOption.AllDirectories) |> Array.sort do
                        file, Convert.ToHexString(File.ReadAllBytes file)
                |]

                let context = {
                    quiet root with
                        Progress =
                            fun report ->
                                if report.Unit = "steps" && report.Done = 10L then
                                    let folder = runFolder root
                                    let now = DateTime.UtcNow

                                    ArtifactJson.Write(
                                        Path.Combine(folder, RunLayout.Lock),
                                        LockRecord(1, 1, now, "elsewhere", now, "another")
                                    )

                                    before <- contents folder
                }

                match run context (Pipelines.model variant) with
                | Error(Busy message as error) ->
                    Expect.stringContains message RunLayout.Lock "the file"
                    Expect.equal (StageError.exitCode error) 3 "exit code"
                | other -> failtestf "expected to stop, got %A" other

                Expect.equal (contents (runFolder root)) before "every file as the new owner found it")
        }

        test "a finite validation after one that is not is the best" {
            let state = LoopState.start 1 1
            let best, state = LoopState.validated None state
            Expect.isFalse best "no number is not the best"
            let best, state = LoopState.validated (Some 3.0) { state with Step = 1L }
            Expect.isTrue best "the first number is"
            let best, state = LoopState.validated None { state with Step = 2L }
            Expect.isFalse best "no number again"
            Expect.equal (state.BestValidation, state.BestStep) (Some 3.0, Some 1L) "the best stays"
            Expect.isNone state.Validation "the latest is none"
        }

        test "squared error has no nats: they are null, and its loss has its own name" {
            inFolder (fun root ->
                let variant = variant [ "model.likelihood.kind=squared_error" ]
                let run = train root None variant |> finished
                Expect.isFalse (autoencoderOf run.Record).ValidationReconstructionNatsPerDim.HasValue "no nats"
                Expect.isTrue (autoencoderOf run.Record).ValidationSquaredError.HasValue "an error"
                let first = File.ReadLines(metrics run.Folder) |> Seq.head
                let line = nonNull (JsonNode.Parse first)
                Expect.isNull line["reconstruction_nats_per_dim"] "nor in the lines"
                Expect.isNotNull line["reconstruction_squared_error"] "but an error")
        }

        test "a batch larger than the data is a problem of its key" {
            inFolder (fun root ->
                match train root None (variant [ "training.batch_size=64" ]) with
                | Error(Configuration [ problem ]) -> Expect.equal problem.Key "training.batch_size" "the key"
                | other -> failtestf "expected a configuration problem, got %A" other

                Expect.isEmpty (Directory.GetDirectories(Path.Combine(root, "runs"))) "no run was begun")
        }

        test "a device that is none is a wrong command line, and no run is begun" {
            inFolder (fun root ->
                let variant = variant []

                for name in [ "foo"; "cuda:x" ] do
                    let context = { quiet root with Device = name }

                    match run context (Pipelines.model variant) with
                    | Error(Usage message) -> Expect.stringContains message name "what was given"
                    | other -> failtestf "%s: expected a usage error, got %A" name other

                Expect.isEmpty (Directory.GetDirectories(Path.Combine(root, "runs"))) "no run was begun")
        }
    ]
