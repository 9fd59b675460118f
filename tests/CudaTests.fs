/// What a GPU gives beside what the processor gives. Where there is none each test is reported as skipped; `DQ_TEST_DEVICE` names
/// another device than the first.
module DQ.Tests.CudaTests

open System
open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Evaluation
open DQ.Core.Images
open DQ.Core.Likelihoods
open DQ.Core.Likelihoods.Context
open DQ.Core.Native
open DQ.Core.Quantization
open DQ.Core.Training
open DQ.Tests.Likelihoods.Shared
open DQ.Tests.TemporaryFolder
open DQ.Tests.Sessions

let private device () =
    match Environment.GetEnvironmentVariable "DQ_TEST_DEVICE" with
    | null when torch.cuda.is_available () -> torch.CUDA
    | null -> skiptest "no CUDA device can be used here"
    | name -> torch.device name

let private side = 16

let private batch start =
    torch
        .tensor(
            [|
                for index in start .. start + 15 do
                    yield! DeadLeaves.Generate(7L, int64 index, side)
            |],
            dtype = torch.ScalarType.Byte
        )
        .view(16L, 3L, int64 side, int64 side)

let private spec quantizer likelihood =
    AutoencoderSpec(
        Channels = 16,
        ResidualChannels = 8,
        CodeCounts = [| 16; 32 |],
        Codebooks = 4,
        CodeWidth = 4,
        Quantizer = QuantizerSpec(Kind = quantizer),
        Likelihood = LikelihoodSpec(Kind = likelihood, Components = 3)
    )

let private training =
    TrainingSpec(Steps = 20L, BatchSize = 16, LearningRate = 1e-3, ClipNorm = 1.0)

/// The same session twice: on the processor, and on the device from the first one's checkpoint.
let private inPairs spec (check: TrainingSession -> TrainingSession -> unit) =
    let device = device ()

    inFolder (fun folder ->
        use here = ofAutoencoder (spec, training, 0L, torch.CPU)
        here.InitializeCodebooks [| batch 0 |]
        here.Step(batch 0) |> ignore
        let path = IO.Path.Combine(folder, "start.safetensors")
        here.Save path
        use there = loaded (path, training, device)
        check here there)

let private placeOf (session: TrainingSession) =
    (Seq.head (session.Model.parameters ())).device

let private relative (actual: float) expected =
    abs (actual - expected) / max 1e-6 (abs expected)

let private cases = [
    for quantizer in Quantizers.Names do
        yield quantizer, "logistic_mixture"
    yield "depthwise", "categorical"
    yield "depthwise", "squared_error"
]

/// Losses, and the gradient of their weighted sum, in one precision on one device.
let private derived (likelihood: Likelihood) (kind: torch.ScalarType) (weights: float list) (output: Tensor) truth =
    use _ = torch.NewDisposeScope()
    let leaf = output.``to``(kind).detach().clone().requires_grad_ true
    let loss = likelihood.Loss(leaf, truth)
    let shares = torch.tensor(List.toArray weights).``to``(kind).``to`` output.device
    (loss * shares).sum().backward()
    floats (loss.detach().cpu()), floats ((nonNull leaf.grad).cpu())

/// Float32, which the kernel computes, against float64, which operators compute.
let private kernelAgrees channels components weights (output: Tensor) (truth: Tensor) =
    let device = device ()
    let likelihood = LogisticMixture(channels, components)
    likelihood.Prepare device
    Expect.isNull CudaKernels.Unavailable "the kernel can be used"
    let single, truth = output.``to``(torch.float32).``to`` device, truth.``to`` device
    let loss, gradient = derived likelihood torch.float32 weights single truth

    let expected, expectedGradient =
        derived likelihood torch.float64 weights single truth

    Expect.isLessThan (worstRelative loss expected) 1e-5 "nats per dim"
    Expect.isLessThan (distance gradient expectedGradient) 1e-4 "gradient by norm"
    use _ = torch.no_grad ()
    Expect.equal (floats (likelihood.Loss(single, truth).cpu())) loss "without gradients"

/// The device, where the kernel can be used: a test of it must not pass by the operators.
let private kernelDevice () =
    let device = device ()
    LogisticMixture(3, 4).Prepare device
    Expect.isNull CudaKernels.Unavailable "the kernel can be used"
    device

let private kernelTests =
    testList "mixture kernel" [
        for channels, components in [ 3, 10; 3, 1; 3, 24; 1, 10; 1, 1 ] do
            test $"{components} components, {channels} channels: loss, gradient, evaluation" {
                use _ = torch.NewDisposeScope()

                for seed, size in List.indexed [ 1L; 7L; 40L ] do
                    for value in [ None; Some 0.0; Some 255.0 ] do
                        let output = plausible seed channels components size
                        let drawn = pixels seed [ 2L; channels; size; size ]

                        let truth =
                            match value with
                            | None -> drawn
                            | Some value -> torch.full_like (drawn, scalar value)

                        kernelAgrees channels components [ 0.5; 0.5 ] output truth
            }

        test "weights that differ by image, and an output that is not contiguous" {
            use _ = torch.NewDisposeScope()
            let truth = pixels 1 [ 2L; 3L; 6L; 5L ]
            let output = (plausible 1 3 4 8L).narrow(2L, 1L, 6L).narrow(3L, 2L, 5L)
            kernelAgrees 3 4 [ 0.25; -3.0 ] output truth
            kernelAgrees 3 4 [ 0.0; 1.0 ] output truth
            // channels last
            kernelAgrees 3 4 [ 0.5; 0.5 ] (output.permute(0L, 2L, 3L, 1L).contiguous().permute(0L, 3L, 1L, 2L)) truth
        }

        test "a graph that is kept gives the same gradient twice" {
            use _ = torch.NewDisposeScope()
            let device = kernelDevice ()

            let output =
                (plausible 5 3 4 6L).``to``(torch.float32).``to``(device).requires_grad_ true

            let loss =
                LogisticMixture(3, 4).Loss(output, (pixels 5 [ 2L; 3L; 6L; 6L ]).``to`` device).sum()

            let gradient () =
                let gradients = torch.autograd.grad ([| loss |], [| output |], retain_graph = true)
                floats (gradients[0].cpu())

            Expect.equal (gradient ()) (gradient ()) "gradient"
        }

        test "a NaN in an image makes its loss NaN, and only its" {
            use _ = torch.NewDisposeScope()
            let device = kernelDevice ()
            let truth = (pixels 7 [ 2L; 3L; 6L; 6L ]).``to`` device

            for channel in [ 0L; 5L; 9L; 13L; 20L; 39L ] do
                let output = (plausible 7 3 4 6L).``to`` torch.float32
                output[1L, channel, 3L, 4L] <- torch.tensor Single.NaN

                let loss = floats ((LogisticMixture(3, 4).Loss(output.``to`` device, truth)).cpu())

                Expect.equal (Array.map Double.IsNaN loss) [| false; true |] $"channel {channel}"
        }

        test "operators can be demanded" {
            use _ = torch.NewDisposeScope()
            let device = kernelDevice ()
            let output = (plausible 8 3 4 6L).``to``(torch.float32).``to`` device
            let truth = (pixels 8 [ 2L; 3L; 6L; 6L ]).``to`` device

            let loss () =
                (LogisticMixture(3, 4)).Loss(output, truth).cpu()

            let byKernel = floats (loss ())

            try
                CudaKernels.Allowed <- false
                Expect.isLessThan (worstRelative (floats (loss ())) byKernel) 1e-5 "nats per dim"
            finally
                CudaKernels.Allowed <- true
        }
    ]

[<Tests>]
let tests =
    testSequenced
    <| testList "CUDA" [
        kernelTests

        for quantizer, likelihood in cases do
            test $"{quantizer}, {likelihood}: a step's loss, gradient and code losses within 1e-3" {
                inPairs (spec quantizer likelihood) (fun here there ->
                    let one, other = here.Step(batch 16), there.Step(batch 16)
                    Expect.isLessThan (relative other.Reconstruction one.Reconstruction) 1e-3 "reconstruction"
                    Expect.isLessThan (abs (other.Latent - one.Latent)) (1e-3 * (1.0 + abs one.Latent)) "latent"
                    Expect.isLessThan (relative other.GradientNorm one.GradientNorm) 1e-2 "gradient norm"
                    Expect.isFalse other.Skipped "made")
            }

        test "codes agree but for ties, and decode to the same pixels within 1e-3" {
            inPairs (spec "depthwise" "logistic_mixture") (fun here there ->
                use _ = torch.no_grad ()
                let device = placeOf there
                here.Model.eval ()
                there.Model.eval ()
                let pixels = batch 32
                let codes = here.Model.Encode pixels
                let others = there.Model.Encode(pixels.``to`` device)

                for level, (one, other) in Seq.indexed (Seq.zip codes others) do
                    let agreeing = (one.eq (other.cpu ())).``to``(torch.float32).mean().item<float32>()

                    Expect.isGreaterThan agreeing 0.995f $"level {level}"

                let decoded = here.Model.Decode(codes, int64 side, int64 side)

                let elsewhere =
                    there.Model.Decode([| for map in codes -> map.``to`` device |], int64 side, int64 side)

                let difference = (decoded - elsewhere.cpu ()).abs().max().item<float32>()

                Expect.isLessThan difference 1e-3f "outputs")
        }

        test "twenty steps end at the same loss within 1 %" {
            inPairs (spec "depthwise" "logistic_mixture") (fun here there ->
                let last (session: TrainingSession) =
                    [ for step in 1..20 -> (session.Step(batch (16 * (step % 4)))).Reconstruction ]
                    |> List.last

                Expect.isLessThan (relative (last there) (last here)) 1e-2 "reconstruction")
        }

        // after three steps the pass is a CUDA graph; a step of another size runs in between
        for precision in [ "tf32"; "bfloat16" ] do
            test $"{precision}: twenty steps, one of another size, end at the loss of float32 within 3 %%" {
                let device = device ()

                let last precision (device: torch.Device) =
                    let training =
                        TrainingSpec(Steps = 20L, BatchSize = 16, LearningRate = 1e-3, Precision = precision)

                    use session =
                        ofAutoencoder (spec "depthwise" "logistic_mixture", training, 0L, device)

                    session.InitializeCodebooks [| batch 0 |]

                    [
                        for step in 1..20 ->
                            let pixels = batch (16 * (step % 4))
                            (session.Step(if step = 10 then pixels.narrow (0L, 0L, 8L) else pixels)).Reconstruction
                    ]
                    |> List.last
                    |> fun loss ->
                        Expect.equal session.Records (device.``type`` = DeviceType.CUDA) "a graph on CUDA"
                        loss

                Expect.isLessThan (relative (last precision device) (last "float32" torch.CPU)) 3e-2 "reconstruction"
            }

        test "twenty steps of a context head end at the same loss within 1 %, and so does its evaluation" {
            let training =
                TrainingSpec(Steps = 20L, BatchSize = 16, PixelsPerStep = 2048, LearningRate = 1e-3)

            let trained (device: torch.Device) =
                let objective = new ContextObjective(ContextSpec(Width = 32), training, 0L)
                use session = new TrainingSession(objective, training, 0L, device)
                let losses = [ for step in 1..20 -> (session.Step(batch (16 * (step % 4)))).Reconstruction ]
                let evaluator = ContextEvaluator objective.Model
                evaluator.Add(batch 64)
                [ List.last losses; evaluator.NatsPerDim ]

            for there, here in List.zip (trained (device ())) (trained torch.CPU) do
                Expect.isLessThan (relative there here) 1e-2 "nats/dim"
        }

        test "PSNR and SSIM agree within 1e-5 dB and 1e-6, on flat bright images too" {
            let device = device ()

            let natural, other =
                (batch 0).``to``(torch.float32), (batch 16).``to``(torch.float32)

            for images, originals in
                [
                    0.9 * natural + 0.1 * other, natural
                    250.0 + other / 255.0, 250.0 + natural / 255.0
                ] do
                let differ (measure: torch.Tensor -> torch.Tensor -> torch.Tensor) =
                    let here = measure images originals
                    let there = measure (images.``to`` device) (originals.``to`` device)
                    (here - there.cpu ()).abs().max().ToDouble()

                Expect.isLessThan (differ (fun a b -> ImageQuality.Psnr(a, b))) 1e-5 "PSNR"
                Expect.isLessThan (differ (fun a b -> ImageQuality.Ssim(a, b))) 1e-6 "SSIM"
        }

        test "nearest codes far from zero agree" {
            let device = device ()
            use generator = new torch.Generator(3UL)

            let drawn rows =
                torch.randn ([| 2L; rows; 8L |], generator = generator) + 1000.0f

            let vectors, codes = drawn 500L, drawn 64L
            let here = NearestCodes.Find(vectors, codes)
            let there = NearestCodes.Find(vectors.``to`` device, codes.``to`` device)
            let differ = here.ne(there.cpu ()).sum().ToInt64()
            Expect.isLessThan differ 2L "but for a tie"
        }

        for kind in Quantizers.Names do
            test $"{kind}: a vector that is no number gets a code there is" {
                let device = device ()
                use quantizer = Quantizer.Create(QuantizerSpec(Kind = kind), 4, 16, 4)
                quantizer.``to`` device |> ignore

                let map =
                    torch.zeros ([| 1L; int64 quantizer.InputChannels; 2L; 2L |], device = device)

                map.fill_ nan |> ignore
                let codes = quantizer.Quantize(map).Indices.cpu().data<int64>().ToArray()
                Expect.all codes (fun code -> code >= 0L && code < int64 quantizer.CodeCount) "range"
            }

        test "evaluation agrees within 1e-3" {
            inPairs (spec "vector" "logistic_mixture") (fun here there ->
                let measured (session: TrainingSession) =
                    let pixels = (batch 48).``to``(placeOf session)

                    let evaluator =
                        SplitEvaluator(session.Model, CodeFrequencies.Count(session.Model, [ pixels.clone () ]))

                    evaluator.Add pixels
                    evaluator.Finish().ReconstructionNatsPerDim.Value

                Expect.isLessThan (relative (measured there) (measured here)) 1e-3 "nats/dim")
        }
    ]
