module DQ.Tests.Autoencoders.MultiplyAddsTests

open System
open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Likelihoods
open DQ.Core.Quantization

let private spec codes stride blocks residual =
    AutoencoderSpec(
        Channels = 4,
        ResidualBlocks = residual,
        ResidualChannels = 2,
        CodeCounts = codes,
        Codebooks = 2,
        CodeWidth = 3,
        Stride = stride,
        CoderBlocks = blocks,
        Likelihood = LikelihoodSpec(Kind = "squared_error")
    )

/// Multiply-adds of the convolutions that really ran, from the maps that went through them, one image.
let private convolved (model: HierarchicalAutoencoder) (side: int64) =
    let mutable sum = 0L
    let area (map: torch.Tensor) = map.shape[2] * map.shape[3]

    let count (convolution: Modules.Convolution) transposed =
        let weights =
            convolution.in_channels
            * convolution.out_channels
            * convolution.kernel_size[0]
            * convolution.kernel_size[1]

        let hook =
            Func<_, _, _, _>(fun _ (input: torch.Tensor) (output: torch.Tensor) ->
                sum <- sum + weights * area (if transposed then input else output)
                output)

        convolution.register_forward_hook hook |> ignore

    for part in model.modules () do
        match part with
        | :? Modules.Conv2d as convolution -> count convolution false
        | :? Modules.ConvTranspose2d as convolution -> count convolution true
        | _ -> ()

    let pixels = torch.zeros (1L, 3L, side, side, dtype = torch.ScalarType.Byte)
    model.eval ()
    use _ = torch.no_grad ()
    model.Run pixels |> ignore
    sum

[<Tests>]
let tests =
    testList "Autoencoders.MultiplyAdds" [
        test "a small model agrees with a count by hand" {
            use model = new HierarchicalAutoencoder(spec [| 8 |] 2 1 1)

            // images 4 × 4, codes on a grid of 2 × 2; a residual block has 4·2·9 + 2·4 = 80 weights
            let byHand =
                4 * (3 * 2 * 16) // encoder, 4×4 convolution, stride 2
                + 4 * (2 * 4 * 9) // its 3×3 convolution
                + 4 * 80
                + 4 * (4 * 6) // projection to 2 codebooks of width 3
                + 4 * (2 * 8 * 3) // distances to 2 × 8 codes of width 3
                + 4 * (6 * 4 * 9) // upsampler, which keeps the grid
                + 4 * 80
                + 4 * (4 * 4 * 9) // decoder, first block
                + 4 * 80
                + 4 * (4 * 4 * 16) // its transposed convolution, to 4 × 4
                + 16 * (4 * 4 * 9) // second block
                + 16 * 80
                + 16 * (4 * 3 * 9) // to the pixels

            Expect.equal (model.MultiplyAdds(4, 4)) (int64 byHand) "forward"
            Expect.equal (model.MultiplyAdds(8, 4)) (2L * int64 byHand) "twice the image"
            Expect.equal (model.MultiplyAdds(3, 4)) (int64 byHand) "padding counts"
        }

        for codes in [ [| 8 |]; [| 8; 16 |]; [| 8; 16; 4 |] ] do
            for stride in [ 2; 4 ] do
                for blocks in [ 1; 2; 3 ] do
                    test $"{codes.Length} levels, stride {stride}, {blocks} coder blocks: what the convolutions saw" {
                        let spec = spec codes stride blocks 1
                        use model = new HierarchicalAutoencoder(spec)
                        let side = 2 * spec.SideDivisor

                        let distances =
                            Seq.zip (spec.Grids(side, side)) codes
                            |> Seq.sumBy (fun (grid, codes) -> int64 (grid.Height * grid.Width * 2 * codes * 3))

                        Expect.equal
                            (model.MultiplyAdds(side, side))
                            (convolved model (int64 side) + distances)
                            "convolutions and distances"
                    }

        test "what a quantizer does besides distances is counted, and where there are none nothing is" {
            let perPosition (quantizer: QuantizerSpec) =
                let spec =
                    AutoencoderSpec(CodeCounts = [| 64 |], Codebooks = 2, CodeWidth = 8, Quantizer = quantizer)

                use made = spec.CreateQuantizer 0
                made.MultiplyAddsPerPosition

            Expect.equal (perPosition (QuantizerSpec(Kind = "depthwise"))) (2L * 64L * 8L) "distances"

            Expect.equal
                (perPosition (QuantizerSpec(Kind = "depthwise", CodeProjection = 4)))
                (2L * 64L * 4L + 2L * 4L * 8L)
                "distances in 4 dimensions, and up to 8"

            Expect.equal (perPosition (QuantizerSpec(Kind = "finite_scalar"))) 0L "rounding"
        }
    ]
