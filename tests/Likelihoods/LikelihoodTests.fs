module DQ.Tests.Likelihoods.LikelihoodTests

open System
open Expecto
open DQ.Core.Likelihoods
open DQ.Tests.Likelihoods.Shared
open TorchSharp

let private every = [
    for kind in LikelihoodSpec.Names do
        for channels in [ 3; 1 ] do
            kind, channels, Likelihood.Create(spec kind 3, channels)
]

[<Tests>]
let tests =
    testList "Likelihoods.Likelihood" [
        for kind, channels, likelihood in every do
            test $"{kind}, {channels} channels: shapes and types are the contract's" {
                use _ = torch.NewDisposeScope()

                let output =
                    (normal 1 [ 2L; likelihood.OutputChannels; 3L; 5L ]).``to`` torch.float32

                let truth = pixels 1 [ 2L; channels; 3L; 5L ]
                let images = [| 2L; int64 channels; 3L; 5L |]
                let loss = likelihood.Loss(output, truth)
                Expect.equal (loss.shape, loss.dtype) ([| 2L |], torch.float32) "loss"
                let mean = likelihood.Mean output
                Expect.equal (mean.shape, mean.dtype) (images, torch.float32) "mean"
                Expect.all (floats mean) (fun value -> value >= 0.0 && value <= 255.0) "mean in [0, 255]"
                let mode = likelihood.Mode output
                Expect.equal (mode.shape, mode.dtype) (images, torch.uint8) "mode"
                let sample = likelihood.Sample(output, 1L)
                Expect.equal (sample.shape, sample.dtype) (images, torch.uint8) "sample"

                if likelihood.IsDensity then
                    let bins = likelihood.BinProbabilities(output, truth, channels - 1)
                    Expect.equal (bins.shape, bins.dtype) ([| 2L; 256L; 3L; 5L |], torch.float32) "bins"
                else
                    Expect.throwsT<NotSupportedException>
                        (fun () -> likelihood.BinProbabilities(output, truth, 0) |> ignore)
                        "no bins"
            }

            test $"{kind}, {channels} channels: wrong shapes are named" {
                use _ = torch.NewDisposeScope()
                let output = normal 1 [ 2L; likelihood.OutputChannels; 3L; 5L ]

                let refused (output: Tensor) (truth: Tensor) (part: string) =
                    let error =
                        try
                            likelihood.Loss(output, truth) |> ignore
                            ""
                        with :? ArgumentException as error ->
                            error.Message

                    Expect.stringContains error part "message"

                refused
                    output
                    (pixels 1 [ 2L; channels; 5L; 3L ])
                    $"expected pixels of shape (2, {channels}, 3, 5), got (2, {channels}, 5, 3)"

                refused output ((pixels 1 [ 2L; channels; 3L; 5L ]).``to`` torch.int64) "expected uint8"

                refused
                    (normal 1 [ 2L; 7L; 3L; 5L ])
                    (pixels 1 [ 2L; channels; 3L; 5L ])
                    $"(B, {likelihood.OutputChannels}, H, W), got (2, 7, 3, 5)"
            }

        test "a large image's mode, taken by strips, is that of its parts" {
            use _ = torch.NewDisposeScope()
            let likelihood = Likelihood.Create(spec "logistic_mixture" 1, 1)
            let output = (normal 2 [ 1L; 3L; 40L; 1024L ]).``to`` torch.float32
            let whole = likelihood.Mode output
            let lower = likelihood.Mode(output.narrow (2L, 30L, 10L))
            Expect.equal (floats (whole.narrow (2L, 30L, 10L))) (floats lower) "the last rows"
        }

        test "a specification with problems is refused with its key" {
            Expect.throwsC (fun () -> Likelihood.Create(spec "poisson" 3, 3) |> ignore) (fun error ->
                Expect.stringContains error.Message "likelihood kind: expected one of" "message")
        }
    ]
