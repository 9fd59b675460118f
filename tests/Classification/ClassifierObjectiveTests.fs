module DQ.Tests.Classification.ClassifierObjectiveTests

open System
open System.Collections.Generic
open System.IO
open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Classification
open DQ.Core.Formats
open DQ.Core.Images
open DQ.Core.Quantization
open DQ.Core.Training
open DQ.Tests.TemporaryFolder
open DQ.Tests.Fixtures
open DQ.Tests.Sessions

let private autoencoder =
    AutoencoderSpec(
        ImageChannels = 1,
        Channels = 8,
        ResidualChannels = 8,
        CoderBlocks = 1,
        CodeCounts = [| 8; 8 |],
        Codebooks = 2,
        CodeWidth = 4
    )

let private small =
    ClassifierSpec(
        ImageChannels = 1,
        Classes = 3,
        Channels = 16,
        ResidualBlocks = 1,
        ResidualChannels = 4,
        Stride = 2,
        CodeCount = 8,
        CodeWidth = 16
    )

let private training =
    TrainingSpec(Steps = 40L, BatchSize = 24, LearningRate = 3e-3, ClipNorm = 2.0)

/// Images whose class is where they are bright: top, middle or bottom.
let private batch (step: int) =
    let random = Random step
    let labels = Array.init 24 (fun _ -> int64 (random.Next 3))

    let image (label: int64) =
        Array.init 64 (fun place ->
            let bright = place / 8 / 3 = int label
            byte (random.Next 128 + (if bright then 120 else 0)))

    use _scope = torch.NewDisposeScope()

    let pixels =
        torch.tensor(Array.collect image labels, torch.uint8).reshape(24L, 1L, 8L, 8L)

    new Batch(pixels.DetachFromDisposeScope(), torch.tensor(labels).DetachFromDisposeScope())

let private begun (session: TrainingSession) =
    if not session.CodebooksReady then
        let first = [| for step in 0..3 -> batch step |]
        session.InitializeCodebooks [| for batch in first -> batch.Pixels |]

    session

let private steps first last (session: TrainingSession) = [
    for step in first..last do
        use batch = batch step
        session.Step batch
]

let private weights (model: torch.nn.Module) =
    dict [
        for entry in model.state_dict () ->
            entry.Key, entry.Value.detach().to_type(torch.float32).contiguous().data<float32>().ToArray()
    ]

let private same (one: IDictionary<string, float32[]>) (other: IDictionary<string, float32[]>) =
    [
        for entry in one -> entry.Key, Seq.compareWith compare entry.Value other[entry.Key]
    ]
    |> List.filter (fun (_, order) -> order <> 0)
    |> List.map fst

let private specs = [
    "nothing quantized", (altered small [ "Quantized", box "none" ])
    for kind in [ "vector"; "vector_gradient"; "gumbel" ] do
        kind, (altered small [ "Quantizer", box (QuantizerSpec(Kind = kind)) ])
    "depthwise on the grid", (altered small [ "Codebooks", box 4; "CodeWidth", box 4; "Quantized", box "grid" ])
    "autoencoder with a head",
    (altered small [
        "Input", box (ClassifierInput.Autoencoder)
        "Autoencoder", box autoencoder
        "Backbone", box "none"
        "Quantized", box "none"
    ])
]

[<Tests>]
let tests =
    testSequenced
    <| testList "Classification.ClassifierObjective" [
        test "every kind of classifier learns to tell three classes apart" {
            for name, spec in specs do
                use session =
                    begun (ofClassifier (spec, (altered training [ "Steps", box 120L ]), 3L, torch.CPU))

                let reports = steps 0 119 session
                let evaluator = ClassifierEvaluator session.Classifier

                for seed in 1000..1003 do
                    use batch = batch seed
                    let labels = (nonNull batch.Labels).data<int64>().ToArray() |> Array.map int
                    evaluator.Add(batch.Pixels, ReadOnlySpan labels)

                let split = evaluator.Finish()

                Expect.isLessThan
                    (List.last reports).CrossEntropy.Value
                    (reports.Head.CrossEntropy.Value - 0.2)
                    $"{name}: cross-entropy falls"

                // samples are noisy still while the temperature falls
                let least = if name = "gumbel" then 0.5 else 0.85
                Expect.isGreaterThan split.Accuracy least $"{name}: accuracy"
        }

        test "a session saved and loaded goes on to the very same weights" {
            for name, spec in specs do
                inFolder (fun folder ->
                    let path = Path.Combine(folder, "step.safetensors")
                    use whole = begun (ofClassifier (spec, training, 5L, torch.CPU))
                    steps 0 3 whole |> ignore
                    whole.Save path
                    let expected = steps 4 7 whole
                    use resumed = loadedClassifier (path, training, torch.CPU)
                    let found = steps 4 7 resumed

                    Expect.sequenceEqual
                        [ for report in found -> report.Loss ]
                        [ for report in expected -> report.Loss ]
                        $"{name}: losses"

                    Expect.isEmpty (same (weights whole.Classifier) (weights resumed.Classifier)) $"{name}: weights")
        }

        test "two stages: the autoencoder is the checkpoint's and stays as it is" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, "autoencoder.safetensors")
                use first = ofAutoencoder (autoencoder, training, 1L, torch.CPU)
                use images = batch 0
                first.InitializeCodebooks [| images.Pixels |]
                first.Step images |> ignore
                first.Save path

                let spec =
                    (altered small [
                        "Input", box (ClassifierInput.Codes)
                        "Quantized", box "none"
                        "Autoencoder", box autoencoder
                    ])

                use session =
                    new TrainingSession(ClassifierObjective.OnAutoencoder(path, spec, 2L), training, 2L, torch.CPU)

                let before = weights (nonNull session.Classifier.Autoencoder)
                Expect.isEmpty (same before (weights first.Model)) "taken over"
                let reports = steps 0 39 session
                Expect.isEmpty (same before (weights (nonNull session.Classifier.Autoencoder))) "left alone"
                Expect.isEmpty reports.Head.Levels "no codes learn"

                Expect.isLessThan
                    (List.last reports).CrossEntropy.Value
                    reports.Head.CrossEntropy.Value
                    "the rest learns"

                let frozen =
                    session.Classifier.named_parameters ()
                    |> Seq.filter (fun struct (_, p) -> not p.requires_grad)

                Expect.isNonEmpty frozen "no gradients for it")
        }

        test "a skipped step leaves everything as it was, the running statistics too" {
            let spec = (altered small [ "Backbone", box "resnet18"; "Quantized", box "none" ])
            let strict = (altered training [ "ExplosionFactor", box 1.0001 ])
            use session = ofClassifier (spec, strict, 3L, torch.CPU)
            steps 0 4 session |> ignore
            let before = weights session.Classifier
            use images = batch 5
            // classes it has learned to be others
            use wrong =
                new Batch(images.Pixels.alias (), (nonNull images.Labels).add(1L.ToScalar()).remainder(3L.ToScalar()))

            let report = session.Step wrong
            Expect.isTrue report.Skipped "it exploded"
            Expect.isEmpty (same before (weights session.Classifier)) "as before"
            let learned = session.Step images
            Expect.isFalse learned.Skipped "the next is taken"
            Expect.isNonEmpty (same before (weights session.Classifier)) "and changes them"
        }

        test "training leaves no tensors behind" {
            for name, spec in specs do
                use session = begun (ofClassifier (spec, training, 3L, torch.CPU))
                steps 0 2 session |> ignore
                let before = torch.Tensor.TotalCount
                steps 3 6 session |> ignore
                Expect.isLessThanOrEqual torch.Tensor.TotalCount before $"{name}: tensors alive"
        }

        test "checkpoints of one kind are refused as the other; a batch needs labels" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, "step.safetensors")

                use session =
                    ofClassifier ((altered small [ "Quantized", box "none" ]), training, 3L, torch.CPU)

                session.Save path

                Expect.throwsC (fun () -> Checkpoint.Open(path).Dispose()) (fun error ->
                    Expect.isTrue (error :? WeightsException) "kind of error"

                    Expect.equal
                        error.Message
                        $"{path}: expected a checkpoint of kind autoencoder, found classifier"
                        "message")

                use other = ofAutoencoder (autoencoder, training, 1L, torch.CPU)
                other.Save path

                Expect.throwsC (fun () -> ClassifierCheckpoint.Open(path).Dispose()) (fun error ->
                    Expect.stringEnds
                        error.Message
                        "expected a checkpoint of kind classifier, found autoencoder"
                        "message")

                use unlabelled = new Batch((batch 0).Pixels, null)
                Expect.throwsT<ArgumentException> (fun () -> session.Step unlabelled |> ignore) "labels")
        }
    ]
