module DQ.Tests.Density.DensityEstimatorTests

open System
open System.Threading
open Expecto
open TorchSharp
open DQ.Core.Artifacts
open DQ.Core.Density
open DQ.Core.Quantization

let private floats (tensor: torch.Tensor) =
    tensor.cpu().contiguous().data<float32>().ToArray()

let private training = DensityTraining(QuantizerSpec(), 20, 8)

let private estimate (features: torch.Tensor) codebooks codes seed =
    DensityEstimator.Estimate(features, features, codebooks, codes, training, seed)

let private random (seed: int64) (shape: int64[]) =
    use generator = new torch.Generator(uint64 seed)
    torch.randn (shape, generator = generator)

[<Tests>]
let tests =
    testSequenced
    <| testList "Density.DensityEstimator" [
        test "channels are cut in segments, rows in columns × segments, both padded with zeros" {
            // 5 channels of 2 × 2: two segments of 3, the last channel zeros
            let features =
                torch
                    .tensor(
                        [|
                            for channel in 0..4 do
                                for row in 0..1 do
                                    for column in 0..1 -> float32 (100 * (channel + 1) + 10 * row + column)
                        |]
                    )
                    .reshape(1L, 5L, 2L, 2L)

            let at segment row width column =
                let channel = 3 * segment + width

                if channel < 5 then
                    float32 (100 * (channel + 1) + 10 * row + column)
                else
                    0.0f

            let channel = FeatureSlicing.Channel.Cut features
            Expect.sequenceEqual channel.shape [| 1L; 6L; 2L; 2L |] "shape"

            Expect.sequenceEqual
                (floats channel)
                [
                    for s in 0..1 do
                        for d in 0..2 do
                            for r in 0..1 do
                                for c in 0..1 -> at s r d c
                ]
                "codebook = segment"

            Expect.sequenceEqual
                (floats (FeatureSlicing.Pixel.Cut features))
                [
                    for r in 0..1 do
                        for d in 0..2 do
                            for s in 0..1 do
                                for c in 0..1 -> at s r d c
                ]
                "codebook = row"

            Expect.equal (FeatureSlicing.Width(512L, 7L)) 74 "VGG-16's"

            Expect.throwsT<ArgumentException>
                (fun () -> FeatureSlicing.Pixel.Cut(torch.zeros (1L, 4L, 2L, 3L)) |> ignore)
                "not square"
        }

        test "one code is the mean: no entropy, the error is the spread" {
            let features = random 1L [| 64L; 4L; 2L; 2L |]
            let one = estimate features 2 1 0L
            Expect.equal (one.EntropyNats, one.Usage) (0.0, 1.0) "one code"
            Expect.isLessThan (abs (one.MeanSquaredError - 1.0)) 0.1 "the variance"
            // the mean length of a standard normal vector of two dimensions is sqrt(π / 2)
            Expect.isLessThan (abs (one.MeanL2Error - sqrt (Math.PI / 2.0))) 0.1 "the mean distance"
        }

        test "as many codes as there are vectors leave no error, and all the entropy there is" {
            // four vectors per codebook, equally often
            let corners = torch.tensor([| 1f; 1f; 1f; -1f; -1f; 1f; -1f; -1f |]).reshape(4L, 2L)
            let features = corners.repeat(16L, 1L).reshape(64L, 2L, 1L, 1L)

            let best =
                [ for seed in 0L .. 4L -> estimate features 1 4 seed ]
                |> List.minBy _.MeanL2Error

            Expect.isLessThan best.MeanL2Error 1e-3 "no error"
            Expect.floatClose Accuracy.medium best.EntropyNats (log 4.0) "ln 4"
        }

        test "the same seed gives the same numbers, another others; more codes err less" {
            let features = random 2L [| 48L; 6L; 3L; 3L |] |> FeatureSlicing.Channel.Cut
            let first, again = estimate features 3 8 5L, estimate features 3 8 5L
            Expect.equal again first "repeatable"
            Expect.notEqual (estimate features 3 8 6L) first "another seed"
            Expect.isLessThan (estimate features 3 32 5L).MeanSquaredError first.MeanSquaredError "more codes"
            Expect.isLessThanOrEqual first.EntropyNats (log 8.0) "at most ln K"
        }

        test "cancelling stops between two updates" {
            use source = new CancellationTokenSource()
            source.Cancel()
            let features = random 3L [| 8L; 4L; 2L; 2L |]

            Expect.throwsT<OperationCanceledException>
                (fun () ->
                    DensityEstimator.Estimate(features, features, 2, 4, training, 0L, source.Token)
                    |> ignore)
                "cancelled"
        }

        test "published numbers stand beside their rows; spreads are of the sample" {
            let row codes =
                DensityRow(
                    Slicing = "channel",
                    Codes = codes,
                    Runs = [| DensityEstimate(1.0, 0.1, 2.0, 1.0); DensityEstimate(3.0, 0.3, 2.0, 1.0) |]
                )

            Expect.equal (nonNull (row 32).Published).Entropy 2.53 "K = 32"
            Expect.isNull (row 64).Published "another K"
            Expect.floatClose Accuracy.high (row 64).MeanL2Error.Mean.Value 2.0 "mean"
            Expect.floatClose Accuracy.high (row 64).MeanL2Error.Deviation.Value (sqrt 2.0) "n − 1"
            Expect.isFalse (Spread.Of [ 1.0 ]).Deviation.HasValue "of one there is none"
        }
    ]
