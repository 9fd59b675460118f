module DQ.Tests.Likelihoods.LogisticMixtureTests

open System
open Expecto
open DQ.Core.Likelihoods
open DQ.Tests.Likelihoods.Shared
open TorchSharp

let private mixture channels components = LogisticMixture(channels, components)

/// The definition, number by number, for one pixel: −log p in nats. `parameter` is the output at the pixel.
let private negativeLog (channels: int) (n: int) (parameter: int -> float) (values: float[]) =
    let parts = if channels = 1 then 2 else 3

    let slot channel part k =
        parameter (n + channel * parts * n + part * n + k)

    let sigmoid x = 1.0 / (1.0 + exp -x)

    let softplus x =
        max x 0.0 + Math.Log(1.0 + exp -(abs x))

    let logSum (terms: float[]) =
        let top = Array.max terms
        top + log (Array.sumBy (fun term -> exp (term - top)) terms)

    let joint k =
        [
            for c in 0 .. channels - 1 do
                let shift =
                    match c with
                    | 0 -> 0.0
                    | 1 -> tanh (slot 0 2 k) * values[0]
                    | _ -> tanh (slot 1 2 k) * values[0] + tanh (slot 2 2 k) * values[1]

                let logScale = max -7.0 (slot c 1 k)
                let inverse = exp -logScale
                let middle = (values[c] - slot c 0 k - shift) * inverse
                let upper, lower = middle + inverse / 255.0, middle - inverse / 255.0
                let mass = sigmoid upper - sigmoid lower

                if values[c] < -0.999 then upper - softplus upper
                elif values[c] > 0.999 then -(softplus lower)
                elif mass > 1e-5 then log mass
                else middle - logScale - 2.0 * softplus middle - log 127.5
        ]
        |> List.sum

    let weights = Array.init n parameter
    logSum weights - logSum (Array.init n (fun k -> parameter k + joint k))

let private definition channels n (output: Tensor) (pixels: Tensor) =
    let o, p = floats output, floats pixels
    let plane = int (output.shape[2] * output.shape[3])

    Array.init (int output.shape[0]) (fun b ->
        let image position =
            let values =
                Array.init channels (fun c -> p[(b * channels + c) * plane + position] / 127.5 - 1.0)

            negativeLog channels n (fun index -> o[(b * int output.shape[1] + index) * plane + position]) values

        Array.sum (Array.init plane image) / float (plane * channels))

let private parityTests =
    testList "parity with the published loss" [
        let file = lazy (parity "likelihood.safetensors")

        for precision, kind, nll, gradient, tolerance in
            [
                "float64", torch.float64, "nll_nats_per_dim_f64", "grad_of_mean_f64", 1e-5
                "float32", torch.float32, "nll_nats_per_dim", "grad_of_mean", 1e-4
            ] do
            test $"{precision} loss and gradient" {
                let file = file.Value
                let logits = file["logits"].``to`` kind
                let share = 1.0 / float logits.shape[0]

                let loss, grad =
                    lossAndGradient (mixture 3 10) [ share; share; share ] logits file["pixels"]

                Expect.isLessThan (worstRelative loss (floats file[nll])) tolerance "nats per dim"
                Expect.isLessThan (distance grad (floats file[gradient])) 1e-3 "gradient by norm"
            }
    ]

[<Tests>]
let tests =
    testList "Likelihoods.LogisticMixture" [
        parityTests

        for channels in [ 3; 1 ] do
            test $"{channels} channels: float64 loss is the definition, edges and extremes included" {
                use _ = torch.NewDisposeScope()
                let likelihood = mixture channels 4

                for seed, spread in [ 1, 1.0; 2, 4.0; 3, 20.0 ] do
                    let output = (plausible seed channels 4 6L).mul(scalar spread)
                    let truth = pixels seed [ 2L; channels; 6L; 6L ]
                    use loss = likelihood.Loss(output, truth)

                    Expect.isLessThan
                        (worstRelative (floats loss) (definition channels 4 output truth))
                        1e-9
                        $"seed {seed}"
            }

            test $"{channels} channels: bins sum to one and multiply to the likelihood" {
                use _ = torch.NewDisposeScope()
                let likelihood = mixture channels 5

                for kind in [ torch.float32; torch.float64 ] do
                    let output = (plausible 4 channels 5 6L).``to`` kind
                    let truth = pixels 4 [ 2L; channels; 6L; 6L ]

                    let logs = [
                        for channel in 0 .. channels - 1 do
                            let bins = likelihood.BinProbabilities(output, truth, channel)
                            let sums = floats (bins.sum 1L)
                            Expect.all sums (fun sum -> abs (sum - 1.0) < 1e-5) "sums to one"
                            let index = truth.narrow(1L, int64 channel, 1L).``to`` torch.int64
                            bins.gather(1L, index).log().sum([| 1L; 2L; 3L |])
                    ]

                    let fromBins =
                        floats (List.reduce (fun a b -> a + b) logs)
                        |> Array.map (fun log -> -log / float (36 * channels))

                    let loss = floats (likelihood.Loss(output, truth))
                    Expect.isLessThan (worstRelative fromBins loss) 1e-4 "−log of the product is the loss"
            }

            test $"{channels} channels: samples follow the bins" {
                use _ = torch.NewDisposeScope()
                let likelihood = mixture channels 3
                let draws = 4000L

                let output =
                    (plausible 5 channels 3 1L).narrow(0L, 0L, 1L).expand(1L, -1L, draws, 1L)

                let sample = likelihood.Sample(output, 7L)
                Expect.equal (floats sample) (floats (likelihood.Sample(output, 7L))) "the same seed draws the same"
                Expect.notEqual (floats sample) (floats (likelihood.Sample(output, 8L))) "another seed draws others"

                for channel in 0 .. channels - 1 do
                    // the probability transform of the draws, halved at ties, has mean 1/2 and variance (1 − Σp³)/12
                    let bins = likelihood.BinProbabilities(output, sample, channel)
                    let index = sample.narrow(1L, int64 channel, 1L).``to`` torch.int64
                    let below = (bins.cumsum (1L) - bins * scalar 0.5).gather(1L, index)
                    let mean = below.mean().ToDouble()
                    Expect.isLessThan (abs (mean - 0.5)) (4.0 / sqrt (12.0 * float draws)) $"channel {channel}"
                    let variance = (1.0 - (bins * bins * bins).sum(1L).mean().ToDouble()) / 12.0
                    let ratio = below.var().ToDouble() / variance
                    Expect.floatClose { absolute = 0.05; relative = 0.0 } ratio 1.0 $"variance of {channel}"

                let average = (sample.``to`` torch.float64).mean([| 2L; 3L |])
                let mean = (likelihood.Mean output).mean([| 2L; 3L |])
                Expect.all (Array.map2 (-) (floats average) (floats mean)) (fun gap -> abs gap < 6.0) "mean of samples"
            }

            test $"{channels} channels: the mode of a narrow logistic is its mean" {
                use _ = torch.NewDisposeScope()
                let likelihood = mixture channels 1
                let truth = pixels 6 [ 1L; channels; 5L; 5L ]
                let output = torch.zeros (1L, likelihood.OutputChannels, 5L, 5L)
                let parts = if channels = 1 then 2 else 3

                for channel in 0 .. channels - 1 do
                    let values: Tensor =
                        truth.select(1L, channel).``to``(torch.float32) / scalar 127.5 - scalar 1.0

                    output.select(1L, int64 (1 + channel * parts)).copy_ values |> ignore
                    output.select(1L, int64 (2 + channel * parts)).fill_(scalar -6.0) |> ignore

                Expect.equal (floats (likelihood.Mode output)) (floats truth) "mode"
                let gaps = Array.map2 (-) (floats (likelihood.Mean output)) (floats truth)
                Expect.all gaps (fun gap -> abs gap < 0.5) "mean"
            }

        test "log-scales below −7 get no gradient" {
            use _ = torch.NewDisposeScope()
            let output = plausible 7 3 2 4L
            output.narrow(1L, 4L, 2L).fill_(scalar -9.0) |> ignore

            let _, gradient =
                lossAndGradient (mixture 3 2) [] output (pixels 7 [ 2L; 3L; 4L; 4L ])

            let gradient = ofFloats gradient [ 2L; 20L; 4L; 4L ]
            Expect.equal (gradient.narrow(1L, 4L, 2L).abs().sum().ToDouble()) 0.0 "scales of the first channel"
            Expect.isGreaterThan (gradient.narrow(1L, 10L, 2L).abs().sum().ToDouble()) 0.0 "scales of the second"
        }
    ]
