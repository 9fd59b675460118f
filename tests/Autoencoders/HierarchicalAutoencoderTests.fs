module DQ.Tests.Autoencoders.HierarchicalAutoencoderTests

open System.Collections.Generic
open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Likelihoods
open DQ.Core.Quantization

let tiny =
    AutoencoderSpec(
        Channels = 8,
        ResidualBlocks = 1,
        ResidualChannels = 4,
        CodeCounts = [| 8; 16 |],
        Codebooks = 3,
        CodeWidth = 4,
        Likelihood = LikelihoodSpec(Kind = "squared_error")
    )

let private change (spec: AutoencoderSpec) (codes: int list) stride blocks =
    AutoencoderSpec(
        Channels = spec.Channels,
        ResidualBlocks = spec.ResidualBlocks,
        ResidualChannels = spec.ResidualChannels,
        CodeCounts = List.toArray codes,
        Codebooks = spec.Codebooks,
        CodeWidth = spec.CodeWidth,
        Stride = stride,
        CoderBlocks = blocks,
        Likelihood = spec.Likelihood
    )

let images (batch: int64) channels (side: int64) =
    torch.randint (256L, [| batch; channels; side; side |], dtype = torch.ScalarType.Byte)

let private difference (a: torch.Tensor) (b: torch.Tensor) = (a - b).abs().max().ToSingle()

[<Tests>]
let tests =
    testList "Autoencoders.HierarchicalAutoencoder" [
        for codes in [ [ 8 ]; [ 8; 16 ]; [ 8; 8; 8 ] ] do
            for stride in [ 2; 4 ] do
                for blocks in [ 1; 2; 3 ] do
                    test $"shapes: {codes.Length} levels, stride {stride}, {blocks} coder blocks" {
                        let spec = change tiny codes stride blocks
                        use model = new HierarchicalAutoencoder(spec)
                        let side = int64 spec.SideDivisor * 2L
                        let pass = model.Run(images 2L 3L side)
                        Expect.sequenceEqual pass.Output.shape [| 2L; 3L; side; side |] "output"

                        for level in 0 .. codes.Length - 1 do
                            let grid = int64 (Seq.item level (spec.Grids(int side, int side))).Height

                            Expect.sequenceEqual
                                pass.Levels[level].Indices.shape
                                [| 2L; 3L; grid; grid |]
                                $"codes {level}"
                    }

        test "decoding the codes is the forward pass" {
            use model = new HierarchicalAutoencoder(tiny)
            model.eval ()
            let pixels = images 2L 3L 32L
            let forward = model.Run(pixels).Output
            let decoded = model.Decode(model.Encode pixels, 32L, 32L)
            Expect.isLessThan (difference forward decoded) 1e-5f "output"
        }

        test "an absent level changes the picture, an empty set of levels forgets the image" {
            use model = new HierarchicalAutoencoder(tiny)
            model.eval ()
            let codes = model.Encode(images 2L 3L 32L)

            let decode (levels: int list) =
                model.Decode(codes, 32L, 32L, HashSet levels)

            Expect.isGreaterThan (difference (decode [ 0 ]) (decode [ 0; 1 ])) 1e-4f "bottom alone"
            Expect.isGreaterThan (difference (decode [ 1 ]) (decode [ 0; 1 ])) 1e-4f "top alone"
            let nothing = decode []
            Expect.isLessThan (difference nothing[0] nothing[1]) 1e-6f "nothing of the image is left"
        }

        test "28 pixels are padded for the network and cropped after it" {
            let spec =
                AutoencoderSpec(
                    ImageChannels = 1,
                    Channels = 8,
                    ResidualChannels = 4,
                    CodeCounts = [| 8; 8 |],
                    Codebooks = 2,
                    CodeWidth = 4
                )

            use model = new HierarchicalAutoencoder(spec)
            let pass = model.Run(images 2L 1L 28L)
            Expect.sequenceEqual pass.Output.shape [| 2L; 30L; 28L; 28L |] "n + 2n channels at the image's size"
            Expect.sequenceEqual pass.Levels[0].Indices.shape [| 2L; 2L; 8L; 8L |] "codes of the padded image"
        }

        test "the appendix's skip is another model with the same parameters" {
            let skip =
                AutoencoderSpec(
                    Channels = 8,
                    ResidualChannels = 4,
                    CodeCounts = [| 8; 8; 8 |],
                    Codebooks = 2,
                    CodeWidth = 4,
                    Wiring = "skip"
                )

            let plain =
                AutoencoderSpec(
                    Channels = 8,
                    ResidualChannels = 4,
                    CodeCounts = [| 8; 8; 8 |],
                    Codebooks = 2,
                    CodeWidth = 4
                )

            use one = new HierarchicalAutoencoder(skip)
            use other = new HierarchicalAutoencoder(plain)
            other.load_state_dict (one.state_dict ()) |> ignore
            one.eval ()
            other.eval ()
            let pixels = images 1L 3L 32L
            let output (model: HierarchicalAutoencoder) = model.Run(pixels).Output
            Expect.isGreaterThan (difference (output one) (output other)) 1e-6f "outputs"
        }

        for blocks, residual, millions in [ 2, 3, 29.9; 1, 3, 22.5; 2, 4, 35.8 ] do
            test
                $"{millions} M parameters with {blocks} coder blocks and {residual} residual blocks, as measured on the released code" {
                let spec =
                    AutoencoderSpec(
                        Channels = 256,
                        ResidualChannels = 256,
                        ResidualBlocks = residual,
                        CoderBlocks = blocks,
                        CodeCounts = [| 128; 256 |],
                        Codebooks = 5,
                        CodeWidth = 64
                    )

                use model = new HierarchicalAutoencoder(spec)

                Expect.floatClose
                    { absolute = 0.05; relative = 0.0 }
                    (float model.ParameterCount / 1e6)
                    millions
                    "parameters"
            }

        test "state-dict keys are the released ones, but for projections and quantizers" {
            use model = new HierarchicalAutoencoder(tiny)
            let keys = model.state_dict().Keys |> Set.ofSeq

            for key in
                [
                    "enc_blocks.0.1.blocks.3.conv.1.weight"
                    "enc_blocks.1.0.blocks.0.bias"
                    "upsample.0.0.blocks.3.weight"
                    "upsample.1.1.blocks.0.weight"
                    "upsample.1.2.blocks.1.conv.3.bias"
                    "dec_blocks.1.0.blocks.0.weight"
                    "decoder.0.blocks.3.weight"
                    "decoder.1.blocks.1.conv.1.weight"
                    "decoder.2.weight"
                    "projections.0.weight"
                    "quantizers.1.codes"
                    "quantizers.1.counts"
                    "quantizers.0.sums"
                ] do
                Expect.isTrue (keys.Contains key) key
        }

        test "k-means puts the codes where the vectors are" {
            let spec = change tiny [ 8; 16 ] 2 2
            use model = new HierarchicalAutoencoder(spec)
            let batches = [| images 8L 3L 32L; images 8L 3L 32L |]

            let error (m: HierarchicalAutoencoder) =
                (m.Run(batches[0]).Levels |> Seq.map (fun level -> level.LatentLoss.ToDouble()))
                |> Seq.sum

            model.eval ()
            let before = error model
            model.InitializeCodebooks(batches, 0L)
            Expect.isLessThan (error model) (before / 2.0) "distance to the codes"
        }

        test "a spec with problems is refused with all of them" {
            let spec =
                AutoencoderSpec(CodeCounts = [| 0 |], Stride = 3, Quantizer = QuantizerSpec(Decay = 1.0))

            Expect.throwsC (fun () -> new HierarchicalAutoencoder(spec) |> ignore) (fun error ->
                for key in [ "codes[0]"; "stride"; "quantizer.decay" ] do
                    Expect.stringContains error.Message key "every key is named")
        }

        test "images of another shape are refused with both" {
            use model = new HierarchicalAutoencoder(tiny)

            Expect.throwsC (fun () -> model.Run(images 1L 1L 32L) |> ignore) (fun error ->
                Expect.stringContains error.Message "expected pixels (B, 3, H, W), got (1, 1, 32, 32)" "message")
        }
    ]
