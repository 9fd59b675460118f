/// The vectorized kernels against the float64 tensor operations, which are autograd's to differentiate.
module DQ.Tests.Likelihoods.FusedLossTests

open System
open Expecto
open DQ.Core.Likelihoods
open DQ.Tests.Likelihoods.Shared
open TorchSharp

let private agree (likelihood: Likelihood) weights (output: Tensor) truth =
    // the same numbers in both precisions
    let single = output.``to`` torch.float32
    let loss, gradient = lossAndGradient likelihood weights single truth

    let expectedLoss, expectedGradient =
        lossAndGradient likelihood weights (single.``to`` torch.float64) truth

    Expect.isLessThan (worstRelative loss expectedLoss) 1e-5 "nats per dim"
    Expect.isLessThan (distance gradient expectedGradient) 2e-4 "gradient by norm"

let private kinds = [
    for channels in [ 3; 1 ] do
        $"mixture of 10, {channels} channels", channels, Likelihood.Create(spec "logistic_mixture" 10, channels)
        $"mixture of 1, {channels} channels", channels, Likelihood.Create(spec "logistic_mixture" 1, channels)
        $"categorical, {channels} channels", channels, Likelihood.Create(spec "categorical" 1, channels)
]

let private mixture = LogisticMixture(3, 4)

[<Tests>]
let tests =
    testList "Likelihoods.FusedLoss" [
        for name, channels, likelihood in kinds do
            test $"{name}: loss and gradient over shapes and spreads" {
                for seed, (height, width, spread) in
                    List.indexed [
                        1L, 1L, 1.0
                        5L, 7L, 1.0
                        16L, 16L, 0.1
                        16L, 17L, 5.0
                        9L, 9L, 30.0
                        40L, 30L, 1.0
                    ] do
                    use _ = torch.NewDisposeScope()

                    let output =
                        (normal seed [ 2L; likelihood.OutputChannels; height; width ]).mul(scalar spread)

                    agree likelihood [] output (pixels seed [ 2L; channels; height; width ])
            }

        for channels in [ 3; 1 ] do
            test $"mixture, {channels} channels: a trained network's range, narrow bins and edge pixels" {
                for seed in 0..9 do
                    use _ = torch.NewDisposeScope()
                    let output = plausible seed channels 4 12L
                    let truth = pixels seed [ 2L; channels; 12L; 12L ]
                    agree (LogisticMixture(channels, 4)) [] output truth
                    agree (LogisticMixture(channels, 4)) [] output (torch.zeros_like truth)
                    agree (LogisticMixture(channels, 4)) [] output (torch.full_like (truth, scalar 255.0))
            }

        test "weights that differ by image, as another reduction than the mean gives" {
            use _ = torch.NewDisposeScope()
            agree mixture [ 0.25; -3.0 ] (plausible 1 3 4 6L) (pixels 1 [ 2L; 3L; 6L; 6L ])
            agree mixture [ 0.5; 0.5 ] (plausible 2 3 4 6L) (pixels 2 [ 2L; 3L; 6L; 6L ])
            agree mixture [ 0.0; 1.0 ] (plausible 3 3 4 6L) (pixels 3 [ 2L; 3L; 6L; 6L ])
        }

        test "an output that is a part of a larger one, or channels-last" {
            use _ = torch.NewDisposeScope()
            let output = plausible 4 3 4 8L
            let truth = pixels 4 [ 2L; 3L; 6L; 5L ]
            let part = output.narrow(2L, 1L, 6L).narrow(3L, 2L, 5L)
            agree mixture [] part truth
            agree mixture [] (part.permute(0L, 2L, 3L, 1L).contiguous().permute(0L, 3L, 1L, 2L)) truth
        }

        test "a graph that is kept gives the same gradient twice" {
            use _ = torch.NewDisposeScope()
            let output = (plausible 5 3 4 6L).``to``(torch.float32).requires_grad_ true
            let loss = mixture.Loss(output, pixels 5 [ 2L; 3L; 6L; 6L ]).sum()

            let gradient () =
                floats (torch.autograd.grad([| loss |], [| output |], retain_graph = true)[0])

            Expect.equal (gradient ()) (gradient ()) "gradient"
        }

        test "without gradients the loss is the same" {
            use _ = torch.NewDisposeScope()
            let output = (plausible 6 3 4 6L).``to`` torch.float32
            let truth = pixels 6 [ 2L; 3L; 6L; 6L ]
            let loss, _ = lossAndGradient mixture [] output truth
            Expect.equal (floats (mixture.Loss(output, truth))) loss "loss"
            Expect.isFalse (mixture.Loss(output, truth).requires_grad) "nothing to differentiate"
        }

        test "a NaN anywhere in an image makes its loss NaN, and only its" {
            use _ = torch.NewDisposeScope()
            let truth = pixels 7 [ 2L; 3L; 6L; 6L ]

            for channel in [ 0L; 5L; 9L; 13L; 20L; 39L ] do
                let output = (plausible 7 3 4 6L).``to`` torch.float32
                output[1L, channel, 3L, 4L] <- torch.tensor Single.NaN
                let loss = floats (mixture.Loss(output, truth))
                Expect.equal (Array.map Double.IsNaN loss) [| false; true |] $"channel {channel}"

            let categorical = Categorical 1
            let output = (normal 7 [ 2L; 256L; 6L; 6L ]).``to`` torch.float32
            output[1L, 77L, 3L, 4L] <- torch.tensor Single.NaN
            let loss = floats (categorical.Loss(output, truth.narrow (1L, 0L, 1L)))
            Expect.equal (Array.map Double.IsNaN loss) [| false; true |] "categorical"
        }

        test "extreme parameters give finite losses and gradients" {
            use _ = torch.NewDisposeScope()
            let truth = pixels 8 [ 1L; 3L; 8L; 8L ]

            for value in [ -1e4; -100.0; 100.0; 1e4 ] do
                for channel in [ 0L; 4L; 8L; 12L ] do
                    let output = (plausible 8 3 4 8L).``to``(torch.float32).narrow(0L, 0L, 1L)
                    output.narrow(1L, channel, 1L).fill_(scalar value) |> ignore
                    let loss, gradient = lossAndGradient mixture [] output truth
                    Expect.all (Seq.append loss gradient) Double.IsFinite $"channel {channel} at {value}"
        }

        testSequenced (
            testList "with the machine's threads" [
                test "one thread and two give the same bits" {
                    use _ = torch.NewDisposeScope()
                    let output = (normal 9 [ 5L; 40L; 50L; 50L ]).``to`` torch.float32
                    let truth = pixels 9 [ 5L; 3L; 50L; 50L ]
                    let threads = torch.get_num_threads ()

                    try
                        let run count =
                            torch.set_num_threads count
                            lossAndGradient mixture [] output truth

                        Expect.equal (run 1) (run 2) "loss and gradient"
                    finally
                        torch.set_num_threads threads
                }

                test "a step leaves no tensor behind and allocates little" {
                    use _ = torch.NewDisposeScope()

                    let output =
                        (normal 10 [ 4L; 40L; 16L; 16L ]).``to``(torch.float32).requires_grad_ true

                    let truth = pixels 10 [ 4L; 3L; 16L; 16L ]

                    let step () =
                        use _ = torch.NewDisposeScope()
                        let loss = mixture.Loss(output, truth).mean()
                        torch.autograd.grad ([| loss |], [| output |]) |> ignore

                    for _ in 1..5 do
                        step ()

                    // what other tests left to the finalizer must not go during the measurement
                    GC.Collect()
                    GC.WaitForPendingFinalizers()
                    let tensors = torch.Tensor.TotalCount
                    let bytes = GC.GetAllocatedBytesForCurrentThread()

                    for _ in 1..50 do
                        step ()

                    Expect.isLessThanOrEqual torch.Tensor.TotalCount tensors "live tensors"
                    Expect.isLessThan ((GC.GetAllocatedBytesForCurrentThread() - bytes) / 50L) 16384L "bytes per step"
                }
            ]
        )
    ]
