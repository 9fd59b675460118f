module DQ.Tests.Likelihoods.CategoricalTests

open Expecto
open DQ.Core.Likelihoods
open DQ.Tests.Likelihoods.Shared
open TorchSharp

/// Logits for 2 images of `channels` and sides `side`.
let private logits seed channels (side: int64) =
    use scope = torch.NewDisposeScope()
    (normal seed [ 2L; 256L * int64 channels; side; side ]).mul(scalar 3.0).MoveToOuterDisposeScope()

[<Tests>]
let tests =
    testList "Likelihoods.Categorical" [
        test "the published loss, on its own targets" {
            use _ = torch.NewDisposeScope()
            let file = parity "dq-ce-1level.safetensors"

            let loss =
                Categorical(3).Loss(file["eval.decoder_output"], file["input.target_pixels"])

            let mean = loss.mean().ToDouble()
            Expect.isLessThan (worstRelative [| mean |] (floats file["eval.reconstruction_loss"])) 1e-5 "mean"
        }

        for channels in [ 3; 1 ] do
            test $"{channels} channels: bins sum to one and multiply to the likelihood" {
                use _ = torch.NewDisposeScope()
                let likelihood = Categorical channels
                let output = logits 1 channels 5L
                let truth = pixels 1 [ 2L; channels; 5L; 5L ]

                let logs = [
                    for channel in 0 .. channels - 1 do
                        let bins = likelihood.BinProbabilities(output, truth, channel)
                        Expect.all (floats (bins.sum 1L)) (fun sum -> abs (sum - 1.0) < 1e-9) "sums to one"
                        let index = truth.narrow(1L, int64 channel, 1L).``to`` torch.int64
                        bins.gather(1L, index).log().sum [| 1L; 2L; 3L |]
                ]

                let fromBins =
                    floats (List.reduce (fun a b -> a + b) logs)
                    |> Array.map (fun log -> -log / float (25 * channels))

                Expect.isLessThan (worstRelative fromBins (floats (likelihood.Loss(output, truth)))) 1e-9 "nats"
            }

        test "output channel value·3 + c is the logit of that value for channel c" {
            use _ = torch.NewDisposeScope()
            let likelihood = Categorical 3
            let output = torch.zeros (1L, 768L, 1L, 1L)
            output[0L, 200L * 3L + 0L, 0L, 0L] <- torch.tensor 50.0f
            output[0L, 17L * 3L + 1L, 0L, 0L] <- torch.tensor 50.0f
            output[0L, 255L * 3L + 2L, 0L, 0L] <- torch.tensor 50.0f
            Expect.equal (floats (likelihood.Mode output)) [| 200.0; 17.0; 255.0 |] "mode"
            Expect.equal (floats ((likelihood.Mean output).round())) [| 200.0; 17.0; 255.0 |] "mean"
            Expect.equal (floats (likelihood.Sample(output, 0L))) [| 200.0; 17.0; 255.0 |] "sample"
        }

        test "samples come as often as their bins say" {
            use _ = torch.NewDisposeScope()
            let likelihood = Categorical 1
            let draws = 20000L
            let output = (logits 3 1 1L).narrow(0L, 0L, 1L).expand(1L, -1L, draws, 1L)
            let sample = likelihood.Sample(output, 5L)
            Expect.equal (floats sample) (floats (likelihood.Sample(output, 5L))) "the same seed draws the same"
            Expect.notEqual (floats sample) (floats (likelihood.Sample(output, 6L))) "another seed draws others"
            let counts = Array.countBy id (floats sample) |> Map

            let expected =
                floats (likelihood.BinProbabilities(output.narrow (2L, 0L, 1L), sample.narrow (2L, 0L, 1L), 0))

            // χ² with 255 degrees of freedom: mean 255, deviation 22.6
            let statistic =
                Array.indexed expected
                |> Array.sumBy (fun (value, p) ->
                    let n = float draws * p
                    let count = counts |> Map.tryFind (float value) |> Option.defaultValue 0 |> float
                    (count - n) * (count - n) / n)

            Expect.isLessThan statistic 400.0 "χ²"
            let mean = (sample.``to`` torch.float64).mean().ToDouble()
            Expect.floatClose { absolute = 2.0; relative = 0.0 } mean (likelihood.Mean(output).mean().ToDouble()) "mean"
        }
    ]
