module DQ.Tests.Evaluation.TiledModelTests

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open DQ.Core.Autoencoders
open DQ.Core.Evaluation
open DQ.Core.Images
open TorchSharp

let private spec levels stride wiring =
    AutoencoderSpec(
        Channels = 8,
        ResidualBlocks = 1,
        ResidualChannels = 4,
        CoderBlocks = 1,
        Stride = stride,
        CodeCounts = [| for _ in 1..levels -> 8 |],
        Codebooks = 2,
        CodeWidth = 4,
        Wiring = wiring
    )

let private picture (random: Random) height width =
    let bytes = Array.zeroCreate<byte>(3 * height * width)
    random.NextBytes bytes
    PixelImage(bytes, 3, height, width)

let private cases =
    gen {
        let! levels = Gen.choose (1, 3)
        let! stride = Gen.elements [ 2; 4 ]
        let! wiring = Gen.elements [ "concatenation"; "skip" ]
        let! height = Gen.choose (1, 150)
        let! width = Gen.choose (1, 150)
        let! side = Gen.choose (1, 40)
        return levels, stride, wiring, height, width, side
    }

[<Tests>]
let tests =
    testList "Evaluation.TiledModel" [
        testPropertyWithConfig
            {
                FsCheckConfig.defaultConfig with
                    maxTest = 25
            }
            "tiles give what the whole picture gives, but for rounding"
        <| Prop.forAll (Arb.fromGen cases) (fun (levels, stride, wiring, height, width, side) ->
            use _ = torch.NewDisposeScope()
            use model = new HierarchicalAutoencoder(spec levels stride wiring)
            let image = picture (Random(height * 1000 + width)) height width

            let tiled, whole =
                TiledModel(model, Sides = struct (side, side)), TiledModel(model, Sides = struct (4096, 4096))

            let codes = whole.Encode image

            for level, (ours, theirs) in Seq.indexed (Seq.zip (tiled.Encode image) codes) do
                let differing = ours.ne(theirs).sum().item<int64>()
                // a tie between two codes may go either way
                Expect.isLessThanOrEqual (100L * differing) (ours.numel ()) $"codes of level {level}"

            let ours, theirs =
                tiled.Mean(codes, height, width), whole.Mean(codes, height, width)

            for a, b in Seq.zip ours.Bytes theirs.Bytes do
                Expect.isLessThanOrEqual (abs (int a - int b)) 1 "pixels")

        test "the reach is as far as an image's change goes, and not much farther" {
            use _ = torch.NewDisposeScope()
            use model = new HierarchicalAutoencoder(spec 2 2 "concatenation")
            Expect.isLessThanOrEqual model.CodesReach 40 "codes"
            Expect.isLessThanOrEqual model.DecodingReach 40 "pixels"
        }
    ]
