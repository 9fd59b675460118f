module DQ.Tests.Likelihoods.SquaredErrorTests

open Expecto
open DQ.Core.Likelihoods
open DQ.Tests.Likelihoods.Shared
open TorchSharp

[<Tests>]
let tests =
    testList "Likelihoods.SquaredError" [
        test "the published loss, on its own targets" {
            use _ = torch.NewDisposeScope()
            let file = parity "vq-mse-1level.safetensors"
            let loss = SquaredError(3).Loss(file["eval.decoder_output"], file["input.pixels"])
            let mean = loss.mean().ToDouble()
            Expect.isLessThan (worstRelative [| mean |] (floats file["eval.reconstruction_loss"])) 1e-5 "mean"
        }

        test "a perfect output has no loss and gives the pixels back" {
            use _ = torch.NewDisposeScope()
            let likelihood = SquaredError 3
            let truth = pixels 1 [ 2L; 3L; 4L; 4L ]
            let output = PixelNormalization.Normalize truth
            Expect.all (floats (likelihood.Loss(output, truth))) ((=) 0.0) "loss"
            Expect.equal (floats (likelihood.Mode output)) (floats truth) "mode"
            Expect.equal (floats (likelihood.Sample(output, 3L))) (floats truth) "sample"
        }
    ]
