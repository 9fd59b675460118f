module DQ.Tests.Quantization.CodeMetricTests

open Expecto
open TorchSharp
open DQ.Core.Quantization

let private spec = QuantizerSpec(Metric = "cosine", DecayWarmup = 1.0)

let private longs (tensor: torch.Tensor) =
    tensor.cpu().contiguous().data<int64>().ToArray()

let private onSphere (codes: torch.Tensor) name =
    Expect.isLessThan ((codes.norm 2 - 1.0).abs().max().ToSingle()) 1e-5f name

[<Tests>]
let tests =
    testList "Quantization.CodeMetric" [
        test "cosine: the code of largest cosine similarity, whatever the vectors' lengths" {
            use quantizer = new DepthwiseQuantizer(spec, 2, 8, 3)
            let map = torch.randn (2L, 6L, 4L, 4L)
            let result = quantizer.Quantize map
            let longer = quantizer.Quantize(map * (torch.rand (2L, 1L, 4L, 4L) + 0.1))
            Expect.sequenceEqual (longs longer.Indices) (longs result.Indices) "lengths"
            let vectors = map.view(2L, 2L, 3L, 16L).permute(1L, 0L, 3L, 2L).reshape(2L, 32L, 3L)
            let similarity = torch.bmm (vectors, quantizer.Codebook.transpose (1L, 2L))
            let nearest = similarity.argmax(2L).view(2L, 2L, 16L).permute(1L, 0L, 2L)
            Expect.sequenceEqual (longs result.Indices) (longs nearest) "codes"
            // |u − c|² = 2 − 2 cos, a mean over D = 3 numbers
            let cosines = (similarity / vectors.norm (2, true)).amax [| 2L |]
            let expected = ((2.0 - 2.0 * cosines) / 3.0).mean([| 1L |]).sum().ToDouble()
            Expect.floatClose Accuracy.medium (result.LatentLoss.ToDouble()) expected "latent loss"
        }

        test "cosine: codes stay on the sphere as they start, learn and are revived" {
            use quantizer = new DepthwiseQuantizer(spec, 2, 64, 3)
            onSphere quantizer.Codebook "random"
            let map = torch.randn (1L, 6L, 4L, 4L)
            quantizer.Initialize([| map |], 0L)
            onSphere quantizer.Codebook "k-means"
            quantizer.Quantize(torch.randn (1L, 6L, 4L, 4L)) |> ignore
            quantizer.Learn(0L, 0L) |> ignore
            onSphere quantizer.Codebook "learned"
        }
    ]
