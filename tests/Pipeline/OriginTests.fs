/// Training that goes on from a run, starts from weights of elsewhere, averages its weights, or stops early.
module DQ.Tests.Pipeline.OriginTests

open System.IO
open System.Text.Json.Nodes
open Expecto
open TorchSharp
open DQ.Core.Artifacts
open DQ.Core.Formats
open DQ.Core.Published
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Pipeline.Training
open DQ.Tests.Pipeline.Contexts
open DQ.Tests.TemporaryFolder

let private tiny =
    TinyRuns.model
    @ [
        "training.steps=12"
        "training.batch_size=4"
        "training.learning_rate=1e-3"
        "training.log_every=5"
        "training.validate_every=3"
        "training.checkpoint_every=7"
        "training.sample_every=0"
        "training.initialization_batches=2"
        "evaluation.samples=2"
        "evaluation.ablation_images=0"
        "evaluation.atlas_patches=0"
    ]

let private resolve sets = TinyRuns.resolve (tiny @ sets)

let private variant sets = TinyRuns.variantOf (tiny @ sets)

let private train root sets =
    run (quiet root) (Pipelines.model (variant sets)) |> get

let private notes root sets =
    let notes = ResizeArray<string>()

    let run =
        run (context root (fun _ _ -> ()) notes.Add) (Pipelines.model (variant sets))
        |> get

    run, List.ofSeq notes

let private bytes (run: Train.TrainedRun) =
    File.ReadAllBytes(Checkpoints.weights run.Folder run.Record.StepsDone)

let private lines (run: Train.TrainedRun) =
    File.ReadAllLines(Path.Combine(run.Folder, RunLayout.Metrics))
    |> Array.map (fun line ->
        let tree = (nonNull (JsonNode.Parse line)).AsObject()

        for key in [ "seconds"; "images_per_second" ] do
            tree.Remove key |> ignore

        tree.ToJsonString())

let private tensorsOf (file: string) prefix =
    use stored = SafeTensorsFile.Open file

    Map [
        for entry in stored.Entries do
            if entry.Name.StartsWith(prefix: string) then
                use tensor = stored.Read entry.Name
                entry.Name.Substring prefix.Length, tensor.bytes.ToArray()
    ]

let private average run =
    tensorsOf (Checkpoints.weights (run: Train.TrainedRun).Folder run.Record.StepsDone) "average."

/// Ends no better than it began: each validation is worse than the first.
let private diverging = [
    "training.learning_rate=0.3"
    "training.clip_norm=0"
    "training.explosion_factor=0"
]

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Origin" [
        test "a run that goes on at a constant rate is the longer run, bit for bit, and has it as a parent" {
            inFolder (fun root ->
                let long = train (Path.Combine(root, "a")) [ "training.steps=20" ]
                let elsewhere = Path.Combine(root, "b")
                let short = train elsewhere []
                let before = bytes short

                let more, said =
                    notes elsewhere [ "training.steps=20"; $"training.continue_from={short.Record.Id}" ]

                Expect.equal (bytes more) (bytes long) "weights, moments and counters"
                // the shorter one writes a line more where it ends
                Expect.equal (Array.last (lines more)) (Array.last (lines long)) "the last line"
                Expect.equal (bytes short) before "the parent stays"
                Expect.notEqual more.Record.Fingerprint long.Record.Fingerprint "it came about in another way"
                Expect.contains [ for parent in more.Record.Parents -> parent.Id ] short.Record.Id "a parent"
                Expect.exists said (fun note -> note.Contains "learning rate stays at 0.001") "the schedule is said"

                let again, said =
                    notes elsewhere [ "training.steps=20"; $"training.continue_from={short.Record.Id}" ]

                Expect.equal again.Folder more.Folder "found again"
                Expect.exists said (fun note -> note.Contains "reused") "reused")
        }

        test "a run that goes on and is stopped goes on to the same end" {
            inFolder (fun root ->
                let short = train root [ "training.schedule=cosine" ]

                let sets = [
                    "training.schedule=cosine"
                    "training.steps=20"
                    $"training.continue_from={short.Record.Id}"
                ]

                match run (cancelledAt root (Some 15L)) (Pipelines.model (variant sets)) with
                | Error(Interrupted 15) -> ()
                | other -> failtestf "expected to be interrupted, got %A" other

                let resumed = train root sets
                let undisturbed = run (forced (quiet root)) (Pipelines.model (variant sets)) |> get
                Expect.notEqual resumed.Folder undisturbed.Folder "two runs"
                Expect.equal (bytes resumed) (bytes undisturbed) "the same weights"
                Expect.equal (lines resumed) (lines undisturbed) "the same lines"
                Expect.equal (Array.head (lines resumed)) (Array.head (lines short)) "those of the first steps too")
        }

        test "a run can't go on to a step that it has done, nor from weights without an optimizer" {
            inFolder (fun root ->
                let short = train root []

                match run (quiet root) (Pipelines.model (variant [ $"training.continue_from={short.Record.Id}" ])) with
                | Error(Configuration [ { Key = "training.steps" } ]) -> ()
                | other -> failtestf "%A" other

                match resolve [ "training.start_from=a"; "training.continue_from=b" ] with
                | Error(Configuration [ { Key = "training.continue_from" } ]) -> ()
                | other -> failtestf "%A" other)
        }

        test "a run starts from another's weights or from a file of them; what does not fit is said" {
            inFolder (fun root ->
                let first = train root []
                let ofRun, said = notes root [ "seed=1"; $"training.start_from={first.Record.Id}" ]
                Expect.exists said (fun note -> note.Contains "tensors taken" && note.Contains "all") "all of them"
                Expect.exists ofRun.Record.Notes (fun note -> note.Contains first.Record.Id) "in the record"
                Expect.equal ofRun.Record.StepsDone 12L "steps count from 0"

                let file = Path.Combine(root, "weights.safetensors")
                use checkpoint = Checkpoint.Open(Checkpoints.weights first.Folder 12L)
                use model = checkpoint.StoredModel()
                WeightsExport.Write(file, model, WeightNames.Reference, 12L)
                let ofFile = train root [ "seed=1"; $"training.start_from={file}" ]
                Expect.equal (bytes ofFile) (bytes ofRun) "the same weights, the same training"
                Expect.notEqual ofFile.Record.Fingerprint ofRun.Record.Fingerprint "named apart"

                let _, said =
                    notes root [ "model.codes=[8,16]"; $"training.start_from={first.Record.Id}" ]

                Expect.exists
                    said
                    (fun note ->
                        note.Contains "quantizers.1.codes (expected (2, 16, 4), found (2, 8, 4))"
                        && note.Contains "chosen again")
                    "shapes"

                match run (quiet root) (Pipelines.model (variant [ "training.start_from=nothing" ])) with
                | Error(Data message) -> Expect.stringContains message "training.start_from" "the key"
                | other -> failtestf "%A" other)
        }

        test "an average of weights is kept, resumed to the bit, and is what is judged" {
            inFolder (fun root ->
                let sets = [ "training.weight_average=0.9" ]
                let undisturbed = train (Path.Combine(root, "a")) sets
                let elsewhere = Path.Combine(root, "b")

                for step in [ 4L; 9L ] do
                    match run (cancelledAt elsewhere (Some step)) (Pipelines.model (variant sets)) with
                    | Error(Interrupted 15) -> ()
                    | other -> failtestf "expected to be interrupted, got %A" other

                let resumed = train elsewhere sets
                Expect.equal (bytes resumed) (bytes undisturbed) "the same weights and averages"
                Expect.equal (lines resumed) (lines undisturbed) "the same validations"

                let plain = train (Path.Combine(root, "c")) []

                let trained run =
                    tensorsOf (Checkpoints.weights (run: Train.TrainedRun).Folder 12L) "model."

                Expect.equal (trained undisturbed) (trained plain) "training itself is the same"
                Expect.notEqual (average undisturbed) (trained undisturbed) "the average is not the last weights"
                Expect.notEqual (lines undisturbed) (lines plain) "validations judge the average"

                match (run (quiet elsewhere) (Pipelines.evaluated (variant sets)) |> get).Evaluation with
                | Evaluations.Evaluation.Autoencoder record ->
                    let judged (splits: System.Collections.Generic.IReadOnlyDictionary<string, SplitEvaluation>) =
                        splits["test"].ReconstructionNatsPerDim

                    Expect.notEqual (judged (nonNull record.WithoutAverage)) (judged record.Splits) "both are measured"
                | other -> failtestf "%A" other

                use checkpoint = Checkpoint.Open(Checkpoints.weights undisturbed.Folder 12L)
                use model = checkpoint.Model()
                let weights = model.state_dict ()

                for entry in average undisturbed do
                    Expect.equal (weights[entry.Key].bytes.ToArray()) entry.Value entry.Key)
        }

        test "training stops when validations get no better, at the same step however often it was stopped" {
            inFolder (fun root ->
                let sets =
                    diverging
                    @ [ "training.steps=60"; "training.early_stopping=2"; "training.skip_limit=100" ]

                let undisturbed, said = notes (Path.Combine(root, "a")) sets
                let best = (nonNull undisturbed.Record.Trained).BestStep

                Expect.equal
                    undisturbed.Record.StepsDone
                    (best.Value + 6L)
                    "two validations of three steps after the best"

                Expect.isLessThan undisturbed.Record.StepsDone 60L "before the last step"
                Expect.equal undisturbed.Record.Status RunStatus.Completed "it is done"
                Expect.exists said (fun note -> note.Contains "stopped early") "said"
                Expect.exists undisturbed.Record.Notes (fun note -> note.Contains "stopped early") "in the record"

                let elsewhere = Path.Combine(root, "b")

                for step in [ 2L; undisturbed.Record.StepsDone ] do
                    run (cancelledAt elsewhere (Some step)) (Pipelines.model (variant sets))
                    |> ignore

                let resumed = train elsewhere sets
                Expect.equal resumed.Record.StepsDone undisturbed.Record.StepsDone "the same step"
                Expect.equal (bytes resumed) (bytes undisturbed) "the same weights"
                Expect.equal (lines resumed) (lines undisturbed) "the same lines"
                Expect.equal (train elsewhere sets).Folder resumed.Folder "found as finished")
        }

        test "settings that are off leave the names of runs as they were" {
            let name sets = Train.settings (variant sets).Config
            Expect.isFalse ((name []).Contains "average") "no part in it"
            Expect.isFalse ((name []).Contains "early") "no part in it"
            Expect.stringContains (name [ "training.weight_average=0.9" ]) "0.9" "where it is on"
            Expect.stringContains (name [ "training.early_stopping=3" ]) "early_stopping" "where it is on"
        }
    ]
