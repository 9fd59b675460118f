module DQ.Tests.Progressive.WorkTests

open System
open System.IO
open System.Text.Json.Nodes
open System.Threading
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Evaluation
open DQ.Core.Formats
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Data
open DQ.Pipeline.Progressive
open DQ.Tests.Pipeline
open DQ.Tests.Pipeline.Program
open DQ.Tests.Progressive.ChainTests
open DQ.Tests.TemporaryFolder

/// 8 to 16 pixels, with the training from scratch.
let private stages (more: string) =
    $$"""{ "stages": { "small": { "image_size": 8, "steps": 20, "learning_rate": 1e-3 },
                       "large": { "image_size": 16, "epochs": 1.5, "batch_size": 8, "freeze": ["encoders"] }
                       {{more}} } }"""

let private chainOf progressive sets =
    inFolder (fun folder ->
        match Chain.load (written folder progressive) sets with
        | Ok chain -> chain
        | Error error -> failtestf "%A" (StageError.lines error))

/// Notes, and what came of a chain that a step of a phase may cancel.
let private run root (cancelAt: (string * int64) option) chain =
    let notes = ResizeArray()

    let progress (source: CancellationTokenSource) (report: Report) =
        match cancelAt with
        | Some(phase, step) when report.Unit = "steps" && report.Title = $"tiny-{phase}" && report.Done >= step ->
            source.Cancel()
        | _ -> ()

    notes, Contexts.run (Contexts.context root progress notes.Add) (Pipelines.progressive chain)

let private finished (_, result) : ChainStages.EvaluatedChain = Contexts.get result

let private folderOf root (stage: ChainStageRecord) =
    Path.Combine(root, RunLayout.Runs, stage.Run)

let private recordOf root (stage: ChainStageRecord) = Store.read (folderOf root stage)

/// All tensors of the last checkpoint as one text.
let private weights root (stage: ChainStageRecord) =
    Convert.ToHexString(File.ReadAllBytes(Checkpoints.weights (folderOf root stage) stage.Steps))

/// The model's tensors in a checkpoint of a stage.
let private model root (stage: ChainStageRecord) step =
    use file = SafeTensorsFile.Open(Checkpoints.weights (folderOf root stage) step)

    [
        for entry in file.Entries do
            if entry.Name.StartsWith "model." then
                use tensor = file.Read entry.Name
                entry.Name, Convert.ToHexString(tensor.bytes.ToArray())
    ]

[<Tests>]
let tests =
    testSequenced
    <| testList "Progressive.Work" [
        test "each stage starts from the one before; curves are at the last size; done stages are reused" {
            inFolder (fun root ->
                let chain = chainOf (stages "") [ "progressive.scratch={}" ]
                let outcome = run root None chain |> finished
                let record = outcome.Chain.Record
                Expect.isTrue record.Completed "completed"
                Expect.equal (record.ImageSize, record.ValidationImages) (16, 6) "where the points were measured"
                let small, large = record.Stages[0], record.Stages[1]
                let scratch = nonNull record.Scratch

                // 48 training images, 1.5 epochs of batches of 8
                Expect.equal (small.Steps, large.Steps) (20L, 9L) "steps"

                // lineage
                let parents stage = [
                    for parent in (recordOf root stage).Parents do
                        if parent.Kind = "run" then
                            parent.Id
                ]

                Expect.equal (parents small, parents large, parents scratch) ([], [ small.Run ], []) "parents"

                Expect.equal
                    (model root large 0L)
                    (model root small 20L)
                    "the first weights and codes are the last ones"

                use first = Checkpoint.Open(Checkpoints.weights (folderOf root large) 0L)
                Expect.equal first.Progress.OptimizerUpdates 0L "with a fresh optimizer"

                // frozen parts
                let encoders step =
                    model root large step
                    |> List.filter (fun (name, _) -> name.StartsWith "model.enc_blocks.")

                Expect.isNonEmpty (encoders 0L) "there are encoders"
                Expect.equal (encoders 9L) (encoders 0L) "which stay as they were"
                Expect.notEqual (model root large 9L) (model root large 0L) "while the rest is trained"

                // multiply-adds
                use built = new HierarchicalAutoencoder(chain.Phases.Head.Config.Model.ForImages 3)
                let forward (side: int) = built.MultiplyAdds(side, side)
                Expect.equal small.ForwardMultiplyAddsPerImage (forward 8) "forward at 8"

                Expect.equal
                    (nonNull (recordOf root large).Trained).ForwardMultiplyAddsPerImage
                    (Nullable(forward 16))
                    "in run.json, at 16"

                let spent = 3.0 * float (forward 8 * 80L + forward 16 * 72L)

                Expect.equal
                    (small.TrainingMultiplyAdds + large.TrainingMultiplyAdds)
                    spent
                    "images seen × forward × 3"

                let step = 3.0 * float (forward 16 * 8L)
                let scratchSpent = scratch.TrainingMultiplyAdds
                Expect.equal scratchSpent (step * float scratch.Steps) "from scratch, too"
                Expect.isTrue (scratchSpent <= spent && scratchSpent > spent - step) "as many, up to a step"

                // points
                Expect.equal [ for point in small.Points -> point.Step ] [ 0L; 5L; 10L; 15L; 20L ] "every checkpoint"
                Expect.equal [ for point in large.Points -> point.Step ] [ 5L; 9L ] "every validation"

                use opened = Contexts.get (Dataset.open' outcome.Evaluated.Head.Run.Dataset)
                let images = opened.Validation.Images.Batches 4

                use last = Checkpoint.Open(Checkpoints.weights (folderOf root small) 20L)
                use atTheEnd = last.Model()
                let again = MeanLoss.Of(atTheEnd, images)
                let point = Seq.last small.Points
                Expect.floatClose Accuracy.high point.ReconstructionNatsPerDim.Value again "the small model at 16"

                Expect.floatClose Accuracy.high point.ReconstructionBitsPerDim.Value (again / Math.Log 2.0) "in bits"

                let all = [ yield! small.Points; yield! large.Points ]

                for before, after in List.pairwise all do
                    Expect.isTrue
                        (after.TrainingMultiplyAdds > before.TrainingMultiplyAdds
                         && after.TrainingSeconds > before.TrainingSeconds)
                        "from the chain's beginning on"

                Expect.equal (Seq.last all).TrainingMultiplyAdds spent "to its end"

                // on disk
                let file = Path.Combine(outcome.Chain.Folder, RunLayout.Chain)
                Expect.equal (ArtifactJson.Read<ChainRecord> file).Stages.Count 2 "chain.json"

                let rows =
                    File.ReadAllLines(Path.Combine(outcome.Chain.Folder, RunLayout.ChainCurve))

                Expect.hasLength rows (1 + all.Length + scratch.Points.Count) "curve.csv"
                Expect.isTrue (rows |> Array.forall (fun row -> row.Split(',').Length = 9)) "in columns"
                Expect.hasLength outcome.Evaluated 2 "both ends are evaluated"

                // again
                let written =
                    File.GetLastWriteTimeUtc(Path.Combine(folderOf root small, RunLayout.Run))

                let notes, again = run root None chain
                Expect.isOk again "again"

                for name in
                    [
                        "train tiny-small"
                        "train tiny-large"
                        "train tiny-scratch"
                        "evaluate tiny-large"
                    ] do
                    Expect.contains notes $"{name}: done before, reused" name

                Expect.equal
                    (File.GetLastWriteTimeUtc(Path.Combine(folderOf root small, RunLayout.Run)))
                    written
                    "untouched"

                // a stage more
                let longer =
                    chainOf (stages """, "fine": { "image_size": 16, "steps": 5, "learning_rate": 1e-4 }""") []

                let notes, outcome = run root None longer
                let outcome = finished (notes, outcome)
                Expect.contains notes "train tiny-small: done before, reused" "the first"
                Expect.contains notes "train tiny-large: done before, reused" "the second"

                Expect.equal
                    [
                        for stage in outcome.Chain.Record.Stages -> stage.Run = small.Run, stage.Run = large.Run
                    ]
                    [ true, false; false, true; false, false ]
                    "only the third is new"

                Expect.hasLength (Directory.GetDirectories(Path.Combine(root, RunLayout.Runs))) 4 "one run more")
        }

        test "stopped in the middle of a stage, a chain goes on there, to the same weights" {
            inFolder (fun root ->
                let chain = chainOf (stages "") []
                let undisturbed, disturbed = Path.Combine(root, "a"), Path.Combine(root, "b")
                let whole = run undisturbed None chain |> finished

                for stopped in [ "small", 7L; "large", 3L ] do
                    match run disturbed (Some stopped) chain with
                    | _, Error(Interrupted 15) -> ()
                    | _, other -> failtestf "expected to be interrupted, got %A" other

                let file =
                    Directory.GetFiles(disturbed, RunLayout.Chain, SearchOption.AllDirectories)
                    |> Array.exactlyOne

                let partial = ArtifactJson.Read<ChainRecord> file
                Expect.equal (partial.Completed, partial.Stages.Count) (false, 1) "it says how far it came"
                let notes, outcome = run disturbed None chain
                let resumed = finished (notes, outcome)
                Expect.contains notes "tiny-large: going on from step 3" "in the middle of the second"

                for before, after in Seq.zip whole.Chain.Record.Stages resumed.Chain.Record.Stages do
                    Expect.equal (weights disturbed after) (weights undisturbed before) before.Name

                    Expect.equal
                        [ for point in after.Points -> point.ReconstructionNatsPerDim ]
                        [ for point in before.Points -> point.ReconstructionNatsPerDim ]
                        "and to the same curve")
        }

        test "the first stage is the run of the same settings without a chain" {
            inFolder (fun root ->
                let chain = chainOf (stages "") []
                run root None chain |> finished |> ignore
                let notes = ResizeArray()

                let alone =
                    match
                        inFolder (fun folder ->
                            Config.load (written folder "null") [
                                "data.image_size=8"
                                "training.steps=20"
                                "training.learning_rate=1e-3"
                            ])
                    with
                    | Ok variants -> List.exactlyOne variants
                    | Error error -> failtestf "%A" (StageError.lines error)

                Contexts.run (Contexts.context root (fun _ _ -> ()) notes.Add) (Pipelines.model alone)
                |> ignore

                Expect.contains notes "train tiny: done before, reused" "the same run")
        }

        test "the program: what it would do, what it did, and what it refuses" {
            inFolder (fun folder ->
                let artifacts = Path.Combine(folder, "artifacts")

                let file =
                    written
                        folder
                        """{ "stages": { "small": { "image_size": 8, "steps": 10 }, "large": { "image_size": 16, "steps": 4 } }, "scratch": {} }"""

                let dq command more =
                    DQ.Tests.Pipeline.Program.run (command :: file :: "--artifacts" :: artifacts :: more)

                let before = dq "progressive" [ "--plan" ]
                Expect.equal before.ExitCode 0 before.Errors
                Expect.stringContains before.Output "known once the images are packed" "nothing is packed"
                Expect.isFalse (Directory.Exists artifacts) "and nothing is made"
                let made = dq "progressive" [ "--json" ]
                Expect.equal made.ExitCode 0 made.Errors
                let result = nonNull (JsonNode.Parse made.Output)
                Expect.hasLength ((nonNull (nonNull result["chain"]).["stages"]).AsArray()) 2 "stages"
                Expect.hasLength ((nonNull result["runs"]).AsArray()) 2 "the last one and the one from scratch"
                let after = dq "progressive" [ "--plan" ]
                // two sizes packed, three runs, the chain, two evaluations
                Expect.equal (after.Output.Split("reused").Length - 1) 8 after.Output
                let text = dq "progressive" []
                Expect.stringContains text.Output "nats/dim at 16" "the table of stages"
                Expect.stringContains text.Output "PSNR, dB" "the table of evaluations"
                let refused = dq "run" []
                Expect.equal refused.ExitCode 2 refused.Errors
                Expect.stringContains refused.Errors "dq progressive" "which command")
        }
    ]
