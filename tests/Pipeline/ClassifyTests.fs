/// `dq classify` from files of images to classification.json, stopped and killed on the way, and in a sweep.
module DQ.Tests.Pipeline.ClassifyTests

open System
open System.IO
open System.Text.Json
open System.Threading
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Formats
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Reports.Catalog
open DQ.Reports.Classification
open DQ.Reports.Pages
open DQ.Tests.Data.Samples
open DQ.Tests.Pipeline.Contexts
open DQ.Tests.TemporaryFolder

/// idx files of 8×8 images whose class, of three, is where they are bright.
let private writeDigits folder =
    let random = Random 5

    let images (labels: int list) = [|
        yield! (idxImages labels.Length 8 8)[..15]
        for label in labels do
            for place in 0..63 do
                byte (random.Next 128 + (if place / 8 / 3 = label then 120 else 0))
    |]

    let labels count =
        List.init count (fun _ -> random.Next 3)

    let train, test = labels 150, labels 30

    writeTree folder [
        "train-images-idx3-ubyte", images train
        "train-labels-idx1-ubyte", idxLabels train
        "t10k-images-idx3-ubyte", images test
        "t10k-labels-idx1-ubyte", idxLabels test
    ]

let private config folder =
    let data = Path.Combine(folder, "digits")
    writeDigits data
    let file = Path.Combine(folder, "tiny.json")

    File.WriteAllText(
        file,
        $$"""{ "data": { "source": "idx", "path": "{{data}}", "validation": 30, "shift": 1 },
               "model": { "channels": 16, "residual_blocks": 1, "residual_channels": 4, "stride": 2, "coder_blocks": 1, "codes": [8],
                          "codebooks": 2, "code_width": 8 },
               "classification": { "mode": "one_stage" },
               "training": { "steps": 60, "batch_size": 16, "learning_rate": 3e-3, "log_every": 10, "validate_every": 10,
                             "checkpoint_every": 20, "initialization_batches": 2 },
               "evaluation": { "splits": ["validation", "test"], "checkpoint": "best", "batch_size": 16 } }"""
    )

    file

let private variant file sets : Variant =
    match Config.loadClassifiers file sets with
    | Ok [ variant ] -> variant
    | other -> failtestf "%A" other

let private execute context (variant: Variant) =
    run context (Pipelines.evaluated variant)

let private numbersOf (run: Evaluate.EvaluatedRun) : ClassificationRecord =
    match run.Evaluation with
    | Evaluations.Evaluation.Classifier record -> record
    | Evaluations.Evaluation.Autoencoder _ -> failtest "expected a classifier"

/// What must not depend on interruptions: weights, lines without times, numbers.
let private outcome (run: Evaluate.EvaluatedRun) =
    let folder = run.Run.Folder

    let line (text: string) =
        let tree = (nonNull (Nodes.JsonNode.Parse text)).AsObject()

        for key in [ "seconds"; "images_per_second" ] do
            tree.Remove key |> ignore

        tree.ToJsonString()

    [
        for log in [ RunLayout.Metrics; RunLayout.Events ] do
            yield! File.ReadAllLines(Path.Combine(folder, log)) |> Array.map line
        for file in
            Directory.GetFiles(Path.Combine(folder, RunLayout.Checkpoints), "*.safetensors")
            |> Array.sort do
            Path.GetFileName file |> string
            Convert.ToHexString(Security.Cryptography.SHA256.HashData(File.ReadAllBytes file))
        for split in (numbersOf run).Splits do
            $"{split.Key} {split.Value.Accuracy} {split.Value.CrossEntropyNats} {split.Value.BitsPerImageEmpirical}"
    ]

/// What the site makes of the run: a tab, the confusion as shares, a point at its bits and accuracy.
let private shownOnTheSite root (run: Evaluate.EvaluatedRun) =
    let folder = run.Run.Folder
    let reader = RunReader(ArtifactFolder root)
    let id = nonNull (Path.GetFileName folder)
    let entry = reader.Read(id, folder, 0L, RunAnnotation.None, null)
    Expect.exists (RunTabs.Of entry) (fun struct (key, _) -> key = RunTabs.Classification) "its tab"
    let test = (numbersOf run).Splits["test"]

    let confusion =
        ClassificationCharts.Confusion(test, (numbersOf run).ClassNames, "test")

    for row in confusion.Values do
        Expect.floatClose Accuracy.high (row |> Seq.sumBy _.GetValueOrDefault()) 100.0 "shares of a class"

    match
        [
            for group in ClassificationCharts.AccuracyAgainstBits([ entry ], entry).Groups do
                yield! group.Points
        ]
    with
    | [ point ] -> Expect.equal (point.X, point.Y) (6.0, 100.0 * test.Accuracy) "its point"
    | other -> failtestf "expected one point, got %A" other

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Classify" [
        test "trained, evaluated once, found again; stopped in between it ends with the same weights and numbers" {
            inFolder (fun folder ->
                let variant = variant (config folder) []
                let whole = Path.Combine(folder, "whole")
                let run = ok (execute (quiet whole) variant)
                let record = run.Run.Record

                Expect.equal
                    (record.Kind, record.Status, record.StepsDone)
                    (RunKind.Classify, RunStatus.Completed, 60L)
                    "run"

                let test = (numbersOf run).Splits["test"]
                Expect.equal test.Images 30L "images"
                Expect.isGreaterThan test.Accuracy 0.8 "accuracy"
                Expect.equal test.BitsPerImageUniform (Nullable 6.0) "2 codes of 8"
                Expect.equal (Seq.sumBy Seq.sum test.Confusion) 30L "confusion"
                Expect.sequenceEqual (numbersOf run).ClassNames [ "0"; "1"; "2" ] "classes"

                match record.Payload with
                | :? ClassifierPayload as payload ->
                    Expect.equal (nonNull payload.Classification).Accuracy test.Accuracy "headline"
                | other -> failtestf "expected a classifier, got %A" other

                let validation = (numbersOf run).Splits["validation"]

                let validated = [
                    for line in File.ReadAllLines(Path.Combine(run.Run.Folder, RunLayout.Metrics)) do
                        let line =
                            nonNull (JsonSerializer.Deserialize<MetricsRecord>(line, ArtifactJson.Options))

                        if line.Split = "validation" then
                            line.Accuracy.Value
                ]

                Expect.hasLength validated 6 "validations"

                Expect.floatClose
                    Accuracy.high
                    validation.Accuracy
                    (List.max validated)
                    "the best of them is evaluated"

                shownOnTheSite whole run
                let again = ok (execute (quiet whole) variant)
                Expect.equal again.Run.Folder run.Run.Folder "found again"

                let disturbed = Path.Combine(folder, "disturbed")

                for step in [ 7L; 31L; 55L ] do
                    match execute (cancelledAt disturbed (Some step)) variant with
                    | Error(Interrupted 15) -> ()
                    | other -> failtestf "expected to be interrupted, got %A" other

                let resumed = ok (execute (quiet disturbed) variant)
                Expect.sequenceEqual resumed.Run.Record.ResumedAtSteps [ 7L; 31L; 55L ] "where it went on"
                Expect.sequenceEqual (outcome resumed) (outcome run) "the same")
        }

        test "an autoencoder's codes as a second stage, and a head on an autoencoder" {
            inFolder (fun folder ->
                let file = config folder
                let sets = [ "model.codes=[8,4]"; "model.channels=8"; "training.steps=20" ]

                let autoencoder =
                    match Config.load file (sets @ [ "classification.mode=none" ]) with
                    | Ok [ variant ] -> variant
                    | other -> failtestf "%A" other

                let context = quiet folder

                let first = run context (Pipelines.model autoencoder) |> ok

                let second =
                    ok (
                        execute
                            context
                            (variant
                                file
                                (sets
                                 @ [
                                     "classification.mode=two_stage"
                                     $"classification.autoencoder={first.Record.Id}"
                                 ]))
                    )

                // 2 codebooks: 8 codes at 4 × 4 positions, 4 at 2 × 2
                let bits = Nullable(2.0 * (16.0 * 3.0 + 4.0 * 2.0))
                Expect.equal (numbersOf second).Splits["test"].BitsPerImageUniform bits "the autoencoder's codes"

                Expect.equal
                    [ for parent in second.Run.Record.Parents -> parent.Kind ]
                    [ "dataset"; "run" ]
                    "both are parents"

                let head =
                    ok (
                        execute
                            context
                            (variant
                                file
                                (sets
                                 @ [ "classification.mode=autoencoder_head"; "classification.backbone=none" ]))
                    )

                let test = (numbersOf head).Splits["test"]
                Expect.equal test.BitsPerImageUniform bits "its own codes"
                Expect.isTrue test.ReconstructionNatsPerDim.HasValue "it reconstructs too")
        }

        test "killed by the system, the program goes on to the same numbers; its exit codes and lines are right" {
            inFolder (fun folder ->
                let file = config folder

                let arguments artifacts = [
                    "classify"
                    file
                    "--artifacts"
                    artifacts
                    "--json"
                    "--set"
                    "training.steps=400"
                ]

                let numbers (finished: Program.Finished) =
                    Expect.equal finished.ExitCode 0 finished.Errors
                    use tree = JsonDocument.Parse finished.Output
                    let run = tree.RootElement.GetProperty("runs")[0]
                    (run.GetProperty("classification").GetProperty "splits").GetRawText()

                let disturbed = Path.Combine(folder, "disturbed")

                let checkpoints () =
                    let runs = Path.Combine(disturbed, RunLayout.Runs)

                    if Directory.Exists runs then
                        Directory.GetFiles(runs, "step-*.json", SearchOption.AllDirectories).Length
                    else
                        0

                // one that was done before it could be killed shows nothing, and is made again
                let rec killedAtWork left =
                    let started = Program.start (arguments disturbed)
                    Program.waitFor started (fun () -> checkpoints () >= 2) |> ignore
                    started.Kill()
                    let killed = Program.finish started

                    if killed.ExitCode = 0 && left > 0 then
                        Directory.Delete(disturbed, true)
                        killedAtWork (left - 1)
                    else
                        Expect.equal killed.ExitCode 137 $"killed while it works: {killed.Errors}"

                killedAtWork 4
                let expected = Program.run (arguments (Path.Combine(folder, "whole")))
                Expect.equal (numbers (Program.run (arguments disturbed))) (numbers expected) "numbers")
        }

        test "a sweep has accuracy and bits by cell" {
            inFolder (fun folder ->
                let file = config folder
                let artifacts = Path.Combine(folder, "artifacts")

                let finished =
                    Program.run [
                        "sweep"
                        file
                        "--artifacts"
                        artifacts
                        "--quiet"
                        "--set"
                        "training.steps=10"
                        "--set"
                        """sweep={"grid":{"model.codebooks":[1,2]}}"""
                    ]

                Expect.equal finished.ExitCode 0 finished.Errors
                let sweeps = Path.Combine(artifacts, SweepLayout.Sweeps)

                let sweep =
                    ArtifactJson.Read<SweepRecord>(
                        Path.Combine(Directory.GetDirectories(sweeps)[0], SweepLayout.Sweep)
                    )

                Expect.equal
                    [ for row in sweep.Rows -> row.Metrics["bits_per_image_uniform"].Mean ]
                    [ 3.0; 6.0 ]
                    "bits per image"

                for row in sweep.Rows do
                    Expect.isTrue (row.Metrics.ContainsKey "accuracy") "accuracy"
                    Expect.equal row.Loss "cross_entropy_nats" "loss"

                Expect.stringContains finished.Output "accuracy, %" "in the table")
        }

        test "what can't be classified is refused in one line, with its exit code" {
            inFolder (fun folder ->
                let file = config folder
                let context = quiet folder

                let attempt sets =
                    match Config.loadClassifiers file sets with
                    | Ok [ variant ] -> execute context variant |> Result.map ignore
                    | Ok other -> failtestf "%A" other
                    | Error error -> Error error

                let mode = "classification.mode="

                for sets, exitCode, said in
                    [
                        [ mode + "none" ], 2, "classification.mode: expected a classifier"
                        [ mode + "two" ], 2, "classification.mode: expected one of"
                        [ "classification.backbone=vgg" ], 2, "classification.backbone: expected one of"
                        [ "model.codes=[8,8]" ], 2, "model.codes: expected one number of codes"
                        [ "training.freeze=[\"decoder\"]" ], 2, "training.freeze: expected an empty list"
                        [ "classification.autoencoder=some" ], 2, "classification.autoencoder: expected null"
                        [ mode + "two_stage" ], 2, "classification.autoencoder: expected the run"
                        [ mode + "two_stage"; "classification.autoencoder=nobody" ], 3, "name or id contains 'nobody'"
                        [ "data.source=dead_leaves"; "data.path=null"; "data.count=60" ],
                        3,
                        "expected images with classes to classify"
                        [ "training.batch_size=1000" ], 2, "training.batch_size: expected at most the 120"
                    ] do
                    match attempt sets with
                    | Ok() -> failtestf "%A is no configuration to work with" sets
                    | Error error ->
                        let lines = StageError.lines error
                        Expect.equal (StageError.exitCode error) exitCode $"{lines}"
                        Expect.hasLength lines 1 $"{lines}"
                        Expect.stringContains lines.Head said "what is said"

                match Config.load file [] with
                | Error(Usage message) -> Expect.stringContains message "which dq classify trains" "dq run"
                | other -> failtestf "%A" other)
        }

        test "pictures are classified as the evaluation does, and weights are exported under torchvision's names" {
            inFolder (fun folder ->
                let root = Path.Combine(folder, "artifacts")

                let trained sets =
                    ok (execute (quiet root) (variant (config folder) ([ "evaluation.checkpoint=last" ] @ sets)))

                let run = trained []

                let bytes =
                    File.ReadAllBytes(Path.Combine(folder, "digits", "t10k-images-idx3-ubyte"))

                let labels =
                    File.ReadAllBytes(Path.Combine(folder, "digits", "t10k-labels-idx1-ubyte"))

                let pictures = [
                    for index in 0..29 do
                        let file = Path.Combine(folder, $"{index}.png")
                        let start = 16 + 64 * index
                        ImageFile.WritePng(file, PixelImage(bytes[start .. start + 63], 1, 8, 8))
                        file
                ]

                let dq arguments =
                    Program.run (arguments @ [ "--artifacts"; root ])

                let finished =
                    dq (
                        [ "classify"; run.Run.Record.Id; "--top"; "2"; "--json"; "--predict" ]
                        @ pictures
                    )

                Expect.equal finished.ExitCode 0 finished.Errors

                let images =
                    (nonNull (nonNull (Nodes.JsonNode.Parse finished.Output)).["images"]).AsArray()

                let right =
                    images
                    |> Seq.mapi (fun index image ->
                        let classes = (nonNull (nonNull image).["classes"]).AsArray()
                        Expect.hasLength classes 2 "as many as asked for"

                        let probability (entry: Nodes.JsonNode | null) =
                            (nonNull (nonNull entry).["probability"]).GetValue<float>()

                        Expect.isTrue (probability classes[0] >= probability classes[1]) "the likeliest first"
                        (nonNull (nonNull classes[0]).["label"]).GetValue<int>() = int labels[8 + index])
                    |> Seq.filter id
                    |> Seq.length

                let accuracy = (numbersOf run).Splits["test"].Accuracy
                Expect.floatClose Accuracy.high (float right / 30.0) accuracy "as the evaluation"

                Expect.equal
                    (dq [ "classify"; run.Run.Record.Id; "--predict"; "no.png" ]).ExitCode
                    3
                    "a missing picture"

                let file = Path.Combine(folder, "weights.safetensors")

                let export names id =
                    dq [ "export"; id; "-o"; file; "--names"; names ]

                Expect.equal (export "ours" run.Run.Record.Id).ExitCode 0 "ours"

                do
                    use written = SafeTensorsFile.Open file
                    Expect.isTrue (written.Contains "head.weight") "our names"

                let refused = export "torchvision" run.Run.Record.Id
                Expect.equal refused.ExitCode 3 "codes have no place there"

                let plain =
                    trained [
                        "classification.backbone=resnet18"
                        "classification.quantized=none"
                        "training.steps=1"
                    ]

                Expect.equal (export "torchvision" plain.Run.Record.Id).ExitCode 0 "theirs"
                use written = SafeTensorsFile.Open file

                for name in [ "conv1.weight"; "layer4.1.bn2.running_var"; "fc.weight"; "fc.bias" ] do
                    Expect.isTrue (written.Contains name) name)
        }
    ]
