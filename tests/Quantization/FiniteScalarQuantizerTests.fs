module DQ.Tests.Quantization.FiniteScalarQuantizerTests

open System.Collections.Generic
open Expecto
open TorchSharp
open DQ.Core.Quantization

let private longs (tensor: torch.Tensor) =
    tensor.cpu().contiguous().data<int64>().ToArray()

let private levels codes =
    FiniteScalarLevels.For codes |> Option.ofObj |> Option.map List.ofSeq

[<Tests>]
let tests =
    testList "Quantization.FiniteScalarQuantizer" [
        test "levels are the paper's for its numbers of codes" {
            for codes, expected in
                [
                    240, [ 8; 6; 5 ]
                    1000, [ 8; 5; 5; 5 ]
                    4375, [ 7; 5; 5; 5; 5 ]
                    15360, [ 8; 8; 8; 6; 5 ]
                    64000, [ 8; 8; 8; 5; 5; 5 ]
                    256, [ 8; 8; 4 ]
                    8, [ 8 ]
                ] do
                Expect.equal (levels codes) (Some expected) $"{codes}"

            for codes in [ 1; 2; 11; 251 ] do
                Expect.isNone (levels codes) $"{codes}"
        }

        for count in 3..9 do
            test $"all of {count} values are reached, evenly spaced in [−1, 1], and 0 stays 0" {
                use quantizer = new FiniteScalarQuantizer(1, [| count |])
                let map = torch.linspace(-8.0, 8.0, 2001L).view(1L, 1L, 1L, 2001L)
                let result = quantizer.Quantize map

                Expect.sequenceEqual
                    (longs result.Indices |> Array.distinct)
                    [ 0L .. int64 (count - 1) ]
                    "codes, rising"

                let values = result.Map.data<float32>().ToArray() |> Array.distinct

                let expected = [
                    for step in 0 .. count - 1 -> float32 (step - count / 2) / float32 (count / 2)
                ]

                Expect.sequenceEqual values expected "values"
                Expect.equal (result.Map[0, 0, 0, 1000].ToSingle()) 0.0f "0"
            }

        for count in [ 3; 4; 8 ] do
            test $"far out, the bound of {count} values ends at the outermost ones" {
                use quantizer = new FiniteScalarQuantizer(1, [| count |])

                for sign in [ -1.0; 1.0 ] do
                    let result = quantizer.Quantize(torch.ones (1L, 1L, 1L, 1L) * (30.0 * sign))
                    // half of the margin of 1e-3 times L − 1, in steps of which L / 2 make 1
                    let left = float (count - 1) * 0.5e-3 / float (count / 2)
                    Expect.floatClose Accuracy.low (result.Errors.ToDouble() * 1e6) (left * left * 1e6) "distance"
            }

        test "codes and combinations of values are one to one" {
            use quantizer = new FiniteScalarQuantizer(2, [| 5; 4; 3 |])

            let codes =
                torch.stack([| torch.arange 60L; torch.arange(60L).flip(0L) |]).view(1L, 2L, 6L, 10L)

            let map = quantizer.Embed codes

            let seen =
                HashSet [
                    for position in 0..59 ->
                        map.view(6L, 60L).narrow(0L, 0L, 3L).select(1L, int64 position).data<float32>().ToArray()
                        |> List.ofArray
                ]

            Expect.equal seen.Count 60 "all different"
            // back through the bound: atanh of the value plus the offset of even levels
            let halves =
                torch.tensor([| 2.0f; 1.5f; 1.0f |]).view([| 1L; 1L; 3L; 1L; 1L |]) * 1.001

            let offsets = torch.tensor([| 0.0f; 0.5f; 0.0f |]).view([| 1L; 1L; 3L; 1L; 1L |])
            let steps = torch.tensor([| 2.0f; 2.0f; 1.0f |]).view([| 1L; 1L; 3L; 1L; 1L |])
            let values = map.view ([| 1L; 2L; 3L; 6L; 10L |]) * steps

            let inverse =
                torch.atanh ((values + offsets) / halves) - torch.atanh (offsets / halves)

            Expect.sequenceEqual
                (longs (quantizer.Quantize(inverse.view (1L, 6L, 6L, 10L)).Indices))
                (longs codes)
                "codes"
        }

        test "nothing is learned, and the gradient is the bound's" {
            use quantizer = new FiniteScalarQuantizer(1, [| 5 |])
            Expect.isEmpty (quantizer.state_dict ()) "state"
            let map = torch.tensor([| 0.3f; -1.0f |]).view(1L, 1L, 1L, 2L).requires_grad_()
            let result = quantizer.Quantize map
            result.Map.sum().backward()
            let expected = (1.0 - map.detach().tanh().square()) * 1.001

            Expect.isLessThan
                (((map.grad |> Option.ofObj |> Option.get) - expected).abs().max().ToSingle())
                1e-6f
                "gradient"

            Expect.equal (result.LatentLoss.ToSingle()) 0.0f "nothing commits"
        }
    ]
