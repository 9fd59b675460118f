module DQ.Tests.Training.NumberFormatsTests

open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Native
open DQ.Core.Quantization
open DQ.Core.Training
open DQ.Tests.Sessions

let private spec =
    AutoencoderSpec(
        Channels = 16,
        ResidualChannels = 8,
        CodeCounts = [| 16; 32 |],
        Codebooks = 4,
        CodeWidth = 4,
        Quantizer = QuantizerSpec(Kind = "depthwise")
    )

let private batch =
    torch
        .tensor(
            [|
                for index in 0..15 -> DQ.Core.Images.DeadLeaves.Generate(7L, int64 index, 16)
            |]
            |> Array.concat,
            dtype = torch.ScalarType.Byte
        )
        .view(16L, 3L, 16L, 16L)

/// Two steps under a number format: both losses, and the types of parameters and gradients.
let private stepped precision =
    let training =
        TrainingSpec(Steps = 4L, BatchSize = 16, LearningRate = 1e-3, Precision = precision)

    use session = ofAutoencoder (spec, training, 0L, torch.CPU)
    session.InitializeCodebooks [| batch |]
    let losses = [ for _ in 1..2 -> session.Step(batch).Reconstruction ]

    let types =
        [
            for parameter in session.Model.parameters () do
                yield parameter.dtype

                match parameter.grad with
                | null -> ()
                | gradient -> yield gradient.dtype
            for quantizer in session.Model.Quantizers -> (quantizer :?> MovingAverageQuantizer).Codebook.dtype
        ]
        |> List.distinct

    losses, types

[<Tests>]
let tests =
    testSequenced
    <| testList "Training.NumberFormats" [
        test
            "within autocast a convolution's output is bfloat16, its weight's gradient float32; off and after it float32" {
            use layer = torch.nn.Conv2d(3L, 8L, 3L)
            let input = torch.randn [| 2L; 3L; 8L; 8L |]

            do
                use _ = Autocast.BFloat16 torch.CPU
                let output = layer.forward input
                Expect.equal output.dtype torch.ScalarType.BFloat16 "within"
                output.to_type(torch.ScalarType.Float32).sum().backward()
                use _ = Autocast.Off torch.CPU
                Expect.equal (layer.forward input).dtype torch.ScalarType.Float32 "off"

            Expect.equal (nonNull layer.weight.grad).dtype torch.ScalarType.Float32 "gradient"
            Expect.equal (layer.forward input).dtype torch.ScalarType.Float32 "after"
        }

        test "bfloat16 changes the losses a little; weights, gradients and codes stay float32" {
            let exact, _ = stepped "float32"
            let rounded, types = stepped "bfloat16"
            Expect.equal types [ torch.ScalarType.Float32 ] "types"
            Expect.notEqual rounded exact "rounds"

            for one, other in List.zip rounded exact do
                Expect.isLessThan (abs (one - other) / other) 0.02 "losses"
        }

        test "channels last changes strides and no value" {
            let map = torch.randn [| 2L; 6L; 5L; 4L |]
            let other = ConvolutionLayout.ChannelsLast map
            Expect.isTrue (other.Equals map) "values"
            Expect.sequenceEqual (other.stride ()) [ 120L; 1L; 24L; 6L ] "strides"
            use layer = torch.nn.Conv2d(6L, 8L, 3L)
            let difference = (layer.forward map - layer.forward other).abs().max().ToSingle()
            Expect.isLessThan difference 1e-5f "a convolution of it"
        }
    ]
