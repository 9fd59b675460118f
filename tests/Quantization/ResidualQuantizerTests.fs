module DQ.Tests.Quantization.ResidualQuantizerTests

open Expecto
open TorchSharp
open DQ.Core.Quantization

let private spec = QuantizerSpec(Kind = "residual", DecayWarmup = 1.0)

let private longs (tensor: torch.Tensor) =
    tensor.cpu().contiguous().data<int64>().ToArray()

[<Tests>]
let tests =
    testList "Quantization.ResidualQuantizer" [
        test "one stage is vector quantization" {
            use residual = new ResidualQuantizer(spec, 1, 8, 4)
            use vector = new VectorQuantizer(spec, 1, 8, 4)
            vector.load_state_dict (residual.state_dict ()) |> ignore
            let map = torch.randn (2L, 4L, 3L, 3L)
            let a, b = residual.Quantize map, vector.Quantize map
            Expect.sequenceEqual (longs a.Indices) (longs b.Indices) "codes"
            Expect.isLessThan ((a.Map - b.Map).abs().max().ToSingle()) 1e-6f "map"
            Expect.floatClose Accuracy.medium (a.LatentLoss.ToDouble()) (b.LatentLoss.ToDouble()) "latent loss"
            residual.Learn(1L, 0L) |> ignore
            vector.Learn(1L, 0L) |> ignore
            Expect.isLessThan ((residual.Codebook - vector.Codebook).abs().max().ToSingle()) 1e-6f "learned codes"
        }

        test "every stage takes the nearest code to what the former left, and the output is their sum" {
            use quantizer = new ResidualQuantizer(spec, 3, 8, 4)
            let map = torch.randn (1L, 4L, 2L, 3L)
            let result = quantizer.Quantize map
            let mutable rest = map.permute(0L, 2L, 3L, 1L).reshape(6L, 4L)

            for stage in 0..2 do
                let codes = quantizer.Codebook[stage]
                let nearest = torch.cdist(rest, codes).argmin 1L
                Expect.sequenceEqual (longs result.Indices[0, stage]) (longs nearest) $"stage {stage}"
                rest <- rest - codes.index_select (0L, nearest)

                Expect.floatClose
                    Accuracy.medium
                    (result.Errors[stage].ToDouble())
                    (rest.square().mean().ToDouble())
                    "error"

            let left = (map - result.Map).permute(0L, 2L, 3L, 1L).reshape(6L, 4L)
            Expect.isLessThan ((left - rest).abs().max().ToSingle()) 1e-5f "what is left at the end"
        }

        test "after k-means every stage leaves less" {
            use quantizer = new ResidualQuantizer(spec, 4, 16, 4)
            let maps = [| for _ in 0..3 -> torch.randn (4L, 4L, 8L, 8L) |]
            quantizer.Initialize(maps, 0L)
            let errors = quantizer.Quantize(maps[0]).Errors.data<float32>().ToArray()

            Expect.isTrue
                (Array.pairwise errors
                 |> Array.forall (fun (former, latter) -> latter < 0.9f * former))
                $"{errors}"
        }
    ]
