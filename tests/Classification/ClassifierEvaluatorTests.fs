module DQ.Tests.Classification.ClassifierEvaluatorTests

open System
open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Classification
open DQ.Core.Quantization
open DQ.Tests.Fixtures

let private spec =
    ClassifierSpec(
        ImageChannels = 1,
        Classes = 4,
        Channels = 8,
        ResidualBlocks = 0,
        Stride = 2,
        Codebooks = 2,
        CodeCount = 16,
        CodeWidth = 4,
        Quantizer = QuantizerSpec(Initialization = "normal"),
        Quantized = "grid"
    )

let private pixels count =
    let random = Random 2

    torch
        .tensor(Array.init (count * 64) (fun _ -> byte (random.Next 256)), torch.uint8)
        .reshape(int64 count, 1L, 8L, 8L)

let private seen (model: Classifier) frequencies (images: torch.Tensor) (labels: int[]) =
    let evaluator = ClassifierEvaluator(model, frequencies)
    let mutable first = 0

    for batch in images.split 7L do
        let count = int batch.shape[0]
        evaluator.Add(batch, ReadOnlySpan(labels, first, count))
        first <- first + count

    evaluator

[<Tests>]
let tests =
    testSequenced
    <| testList "Classification.ClassifierEvaluator" [
        test "counts agree with the logits, and codes cost what their grid and frequencies say" {
            use _scope = torch.NewDisposeScope()
            torch.manual_seed 4L |> ignore
            use _gradients = torch.no_grad ()
            use model = new Classifier(spec)
            model.eval ()
            let images = pixels 30
            let labels = Array.init 30 (fun image -> image % 4)
            let given = model.Logits(images).argmax(1L).data<int64>().ToArray()
            let counted = seen model null images labels
            let split = (seen model counted.Histograms images labels).Finish()
            Expect.equal split.Images 30L "images"

            for label in 0..3 do
                for other in 0..3 do
                    let expected =
                        Seq.zip labels given
                        |> Seq.filter (fun (truth, guess) -> truth = label && guess = int64 other)
                        |> Seq.length

                    Expect.equal (split.Confusion[label][other]) (int64 expected) $"{label} taken for {other}"

            let right =
                Seq.zip labels given
                |> Seq.filter (fun (truth, guess) -> int64 truth = guess)
                |> Seq.length

            Expect.equal split.Accuracy (float right / 30.0) "accuracy"

            let logs = torch.nn.functional.log_softmax (model.Logits images, 1L)

            let truth = (torch.tensor (Array.map int64 labels)).unsqueeze 1L
            let likelihoods = logs.gather(1L, truth).data<float32>().ToArray()

            Expect.floatClose
                Accuracy.medium
                split.CrossEntropyNats
                -(Array.averageBy float likelihoods)
                "cross-entropy"

            // 2 codebooks of 16 codes at 4 × 4 positions
            Expect.equal split.BitsPerImageUniform.Value (2.0 * 16.0 * 4.0) "uniform"
            let level = split.Levels[0]
            Expect.equal (level.GridHeight, level.GridWidth, level.Codebooks.Count) (4, 4, 2) "grid"

            let entropy =
                level.Codebooks |> Seq.sumBy (fun book -> 16.0 * book.EntropyNats / log 2.0)

            Expect.isGreaterThanOrEqual split.BitsPerImageEmpirical.Value (entropy - 1e-9) "never below the entropy"

            for book in level.Codebooks do
                Expect.isTrue (book.UsedCodes >= 1 && book.UsedCodes <= 16) "used codes"
                Expect.floatClose Accuracy.high book.Perplexity (exp book.EntropyNats) "perplexity"
                Expect.isLessThanOrEqual book.Perplexity (float book.UsedCodes + 1e-9) "no more than are used"
        }

        test "without codes there are no bits; without frequencies no empirical ones" {
            use model = new Classifier((altered spec [ "Quantized", box "none" ]))
            use images = pixels 5
            let split = (seen model null images (Array.zeroCreate 5)).Finish()
            Expect.isFalse split.BitsPerImageUniform.HasValue "no codes"
            Expect.isEmpty split.Levels "no levels"
            use model = new Classifier(spec)
            let split = (seen model null images (Array.zeroCreate 5)).Finish()
            Expect.isTrue (split.BitsPerImageUniform.HasValue && not split.BitsPerImageEmpirical.HasValue) "not counted"
        }

        test "an autoencoder trained along is judged by its likelihood too" {
            let autoencoder =
                AutoencoderSpec(
                    ImageChannels = 1,
                    Channels = 8,
                    ResidualChannels = 8,
                    CoderBlocks = 1,
                    CodeCounts = [| 8 |]
                )

            let joint =
                (altered spec [
                    "Input", box (ClassifierInput.Autoencoder)
                    "Autoencoder", box autoencoder
                    "Backbone", box "none"
                    "Quantized", box "none"
                ])

            use model = new Classifier(joint)
            use images = pixels 5
            let split = (seen model null images (Array.zeroCreate 5)).Finish()

            Expect.isTrue
                (split.ReconstructionNatsPerDim.HasValue
                 || split.ReconstructionSquaredError.HasValue)
                "one of both"
        }

        test "wrong labels are refused" {
            use model = new Classifier(spec)
            use images = pixels 2
            let evaluator = ClassifierEvaluator model

            for labels, said in
                [
                    [| 0 |], "expected 2 labels, got 1"
                    [| 0; 4 |], "expected labels below 4, got 4"
                ] do
                Expect.throwsC (fun () -> evaluator.Add(images, ReadOnlySpan labels)) (fun error ->
                    Expect.stringStarts error.Message said "message")

            Expect.throwsT<InvalidOperationException> (fun () -> evaluator.Finish() |> ignore) "nothing seen"
        }
    ]
