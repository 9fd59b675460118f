/// What holds for every quantizer and every choice of metric, gradient and width.
module DQ.Tests.Quantization.QuantizersTests

open System
open System.IO
open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Likelihoods
open DQ.Core.Quantization
open DQ.Core.Training
open DQ.Tests.TemporaryFolder
open DQ.Tests.Sessions

let private choices = [
    for kind in Quantizers.Names do
        yield kind, QuantizerSpec(Kind = kind)
    for kind in [ "depthwise"; "vector"; "vector_gradient" ] do
        yield $"{kind}, cosine", QuantizerSpec(Kind = kind, Metric = "cosine")
    for kind in [ "depthwise"; "vector"; "vector_gradient"; "residual" ] do
        yield $"{kind}, rotation", QuantizerSpec(Kind = kind, Gradient = "rotation")
        yield $"{kind}, projected", QuantizerSpec(Kind = kind, CodeProjection = Nullable 2)
    yield "finite_scalar, given levels", QuantizerSpec(Kind = "finite_scalar", Levels = [| 4; 4 |])
]

/// One of each, for what takes longer.
let private few =
    let further = [ "depthwise, cosine"; "depthwise, rotation"; "depthwise, projected" ]

    choices
    |> List.filter (fun (name, _) -> Seq.contains name Quantizers.Names || List.contains name further)

let private small quantizer =
    AutoencoderSpec(
        Channels = 8,
        ResidualChannels = 4,
        CodeCounts = [| 16; 16 |],
        Codebooks = 3,
        CodeWidth = 4,
        Quantizer = quantizer,
        Likelihood = LikelihoodSpec(Kind = "squared_error")
    )

let private made quantizer = (small quantizer).CreateQuantizer 0

let private mapFor (quantizer: Quantizer) =
    torch.randn (2L, int64 quantizer.InputChannels, 4L, 5L)

let private floats (tensor: torch.Tensor) =
    tensor.detach().cpu().contiguous().data<float32>().ToArray()

let private longs (tensor: torch.Tensor) =
    tensor.cpu().contiguous().data<int64>().ToArray()

let private bits (tensors: torch.Tensor seq) = [|
    for tensor in tensors do
        for value in floats tensor -> BitConverter.SingleToInt32Bits value
|]

let private state (quantizer: Quantizer) =
    bits [ for entry in quantizer.state_dict () |> Seq.sortBy _.Key -> entry.Value ]

[<Tests>]
let contract =
    testList "Quantization.Quantizers" [
        for name, spec in choices do
            test $"{name}: shapes, and codes below K" {
                use quantizer = made spec
                let result = quantizer.Quantize(mapFor quantizer)
                Expect.equal quantizer.CodeCount 16 "the specification's K"
                Expect.sequenceEqual result.Map.shape [| 2L; int64 quantizer.OutputChannels; 4L; 5L |] "map"
                Expect.sequenceEqual result.Indices.shape [| 2L; 3L; 4L; 5L |] "codes"
                Expect.sequenceEqual result.Errors.shape [| 3L |] "errors"
                Expect.all (longs result.Indices) (fun code -> code >= 0L && code < 16L) "range"
            }

            test $"{name}: in evaluation the codes' embedding is the quantized map, to the bit" {
                use quantizer = made spec
                quantizer.eval ()
                use _ = torch.no_grad ()
                let result = quantizer.Quantize(mapFor quantizer)
                Expect.sequenceEqual (floats (quantizer.Embed result.Indices)) (floats result.Map) "map"
            }

            test $"{name}: codes there are not are refused" {
                use quantizer = made spec

                for code in [ -1L; int64 quantizer.CodeCount ] do
                    Expect.throwsT<ArgumentException>
                        (fun () ->
                            quantizer.Embed((torch.tensor [| code; code; code |]).view(1L, 3L, 1L, 1L))
                            |> ignore)
                        $"{code}"
            }

            test $"{name}: in evaluation its errors are the means of the distances; training keeps none" {
                use quantizer = made spec
                quantizer.eval ()
                use _ = torch.no_grad ()
                let result = quantizer.Quantize(mapFor quantizer)
                let distances = nonNull result.Distances
                Expect.sequenceEqual distances.shape [| 2L; 3L; 4L; 5L |] "one per position"
                let means = distances.mean ([| 0L; 2L; 3L |])
                Expect.isLessThan ((means - result.Errors).abs().max().ToSingle()) 1e-5f "means"
                quantizer.train ()
                Expect.isNull (quantizer.Quantize(mapFor quantizer).Distances) "training"
            }

            test $"{name}: training and gradients leave the quantized values as they are" {
                use quantizer = made spec
                let map = mapFor(quantizer).requires_grad_()
                let result = quantizer.Quantize(map, TrainingMoment(1L, 2L, 10L, 0))
                let embedded = quantizer.Embed result.Indices
                Expect.isLessThan ((embedded - result.Map).abs().max().ToSingle()) 1e-5f "values"
                (result.Map * torch.randn_like result.Map).sum().backward()
                let gradient = map.grad |> Option.ofObj |> Option.get
                Expect.isTrue (gradient.isfinite().all().ToBoolean()) "finite"
                Expect.isGreaterThan (gradient.abs().sum().ToSingle()) 0.0f "reaches the encoder"
            }

            for value in [ nan; infinity; -infinity ] do
                test $"{name}: a vector of {value} gets a code there is, and no other vector another" {
                    use quantizer = made spec
                    let moment = TrainingMoment(1L, 2L, 10L, 0)
                    let plain = mapFor quantizer
                    let codes = longs (quantizer.Quantize(plain, moment).Indices)

                    for channels in [ 1L; int64 quantizer.InputChannels ] do
                        let map = plain.clone ()

                        map.select(0L, 1L).select(1L, 2L).select(1L, 3L).narrow(0L, 0L, channels).fill_ value
                        |> ignore

                        let result = quantizer.Quantize(map.requires_grad_ (), moment)
                        let others = longs result.Indices
                        Expect.all others (fun code -> code >= 0L && code < 16L) "range"
                        // the position's three codes are 1 × 3 × 4 × 5 numbers further on
                        let at = [ for book in 0..2 -> 60 + book * 20 + 2 * 5 + 3 ]

                        let apart =
                            Array.indexed >> Array.filter (fun (place, _) -> not (List.contains place at))

                        Expect.sequenceEqual (apart others) (apart codes) "the others"

                        if Double.IsNaN value then
                            let loss = result.Map.sum () + result.LatentLoss
                            Expect.isFalse (Double.IsFinite(loss.ToDouble())) "what skips the step"
                }

            test $"{name}: first codes are chosen where there are any" {
                use quantizer = made spec
                let before = state quantizer
                let maps = [| mapFor quantizer; mapFor quantizer |]
                quantizer.Initialize(maps, 0L)
                Expect.equal (state quantizer = before) (not quantizer.NeedsInitialization) "state"
            }

            test $"{name}: a map of other channels is refused with both" {
                use quantizer = made spec

                Expect.throwsC (fun () -> quantizer.Quantize(torch.zeros (1L, 7L, 2L, 2L)) |> ignore) (fun error ->
                    let expected =
                        $"expected a map (B, {quantizer.InputChannels}, H, W), got (1, 7, 2, 2)"

                    Expect.stringContains error.Message expected "message")
            }

        // where input and output are the same channels
        for kind, metric in [ "depthwise", "euclidean"; "depthwise", "cosine"; "lookup_free", "euclidean" ] do
            test $"{kind}, {metric}: quantizing twice is quantizing once" {
                use quantizer = made (QuantizerSpec(Kind = kind, Metric = metric))
                quantizer.eval ()
                let once = quantizer.Quantize(mapFor quantizer)
                let twice = quantizer.Quantize once.Map
                Expect.sequenceEqual (longs twice.Indices) (longs once.Indices) "codes"
                Expect.isLessThan (twice.LatentLoss.ToSingle()) 1e-10f "no distance"
            }
    ]

let private training =
    TrainingSpec(Steps = 6L, BatchSize = 4, Accumulate = 2, LearningRate = 1e-3)

let private batch step =
    let generator = new torch.Generator(uint64 (step + 1))
    torch.randint (256L, [| 4L; 3L; 16L; 16L |], dtype = torch.ScalarType.Byte, generator = generator)

let private weights (session: TrainingSession) =
    bits [ for entry in session.Model.state_dict () |> Seq.sortBy _.Key -> entry.Value ]

[<Tests>]
let sessions =
    testSequenced
    <| testList "Quantization.Quantizers in training" [
        for name, spec in few do
            test $"{name}: a skipped step leaves no trace, and a resumed session goes on to the bit" {
                inFolder (fun folder ->
                    use session = ofAutoencoder (small spec, training, 3L, torch.CPU)

                    if not session.CodebooksReady then
                        session.InitializeCodebooks [| batch 0; batch 1 |]

                    Expect.isFalse (session.Step(batch 1)).Skipped "learned"

                    // what is no number behind the quantizers, and before them
                    for part in [ "decoder.2.bias"; "projections.0.bias" ] do
                        let bias = session.Model.state_dict().[part]
                        let kept = bias.detach().clone()

                        let set (value: torch.Tensor) =
                            use _ = torch.no_grad ()
                            bias.copy_ value |> ignore

                        set (torch.full_like (kept, nan))
                        let before = weights session
                        Expect.isTrue (session.Step(batch 2)).Skipped $"skipped, {part}"
                        Expect.isTrue (weights session = before) "nothing moved"
                        set kept

                    let path = Path.Combine(folder, "checkpoint.safetensors")
                    session.Save path

                    for step in 3..4 do
                        session.Step(batch step) |> ignore

                    use resumed = loaded (path, training, torch.CPU)

                    for step in 3..4 do
                        resumed.Step(batch step) |> ignore

                    Expect.isTrue (weights resumed = weights session) "bit for bit")
            }
    ]

[<Tests>]
let specification =
    let problems spec = [ for problem in (small spec).Problems() -> problem.Key, problem.Message ]

    testList "Quantization.QuantizerSpec" [
        test "a key the kind does not read is refused by name" {
            let spec =
                QuantizerSpec(Kind = "gumbel", Metric = "cosine", Decay = 0.5, UniformWeight = 1e-3)

            let expected =
                "gumbel has no use for it: expected the default \"euclidean\", got \"cosine\""

            Expect.equal (List.map fst (problems spec)) [ "quantizer.decay"; "quantizer.metric" ] "keys"
            Expect.contains (problems spec) ("quantizer.metric", expected) "message"
        }

        test "a residual has a length: no cosine metric" {
            Expect.equal
                (List.map fst (problems (QuantizerSpec(Kind = "residual", Metric = "cosine"))))
                [ "quantizer.metric" ]
                "key"
        }

        test "bad values are refused by key" {
            let keys spec = List.map fst (problems spec)
            Expect.equal (keys (QuantizerSpec(Metric = "l1"))) [ "quantizer.metric" ] "metric"
            Expect.equal (keys (QuantizerSpec(Gradient = "none"))) [ "quantizer.gradient" ] "gradient"
            Expect.equal (keys (QuantizerSpec(CodeProjection = Nullable 0))) [ "quantizer.code_projection" ] "none"
            Expect.equal (keys (QuantizerSpec(CodeProjection = Nullable 5))) [ "quantizer.code_projection" ] "too wide"

            Expect.equal
                (keys (QuantizerSpec(Kind = "gumbel", TemperatureSteps = Nullable 0L)))
                [ "quantizer.temperature_steps" ]
                "steps"

            Expect.equal
                (keys (QuantizerSpec(Kind = "vector_gradient", Revival = "published")))
                [ "quantizer.revival" ]
                "revival"

            Expect.equal
                (keys (QuantizerSpec(Kind = "lookup_free", EntropyWeight = -1.0)))
                [ "quantizer.entropy_weight" ]
                "weight"
        }

        test "numbers of codes that a kind can't make are refused with those it can" {
            let codes kind count levels =
                let spec =
                    AutoencoderSpec(CodeCounts = [| count |], Quantizer = QuantizerSpec(Kind = kind, Levels = levels))

                [ for problem in spec.Problems() -> problem.Key, problem.Message ]

            Expect.equal
                (codes "lookup_free" 100 [||])
                [ "codes[0]", "expected a power of two for lookup_free, got 100" ]
                "bits"

            let expected =
                "expected a product of levels from 3 to 8, such as 245 or 252, got 251"

            Expect.equal (codes "finite_scalar" 251 [||]) [ "codes[0]", expected ] "prime"
            let expected = "expected the product of quantizer.levels, 8·6·5 = 240, got 256"
            Expect.equal (codes "finite_scalar" 256 [| 8; 6; 5 |]) [ "codes[0]", expected ] "given"
            Expect.isEmpty (codes "finite_scalar" 240 [| 8; 6; 5 |]) "what they make"
        }
    ]
