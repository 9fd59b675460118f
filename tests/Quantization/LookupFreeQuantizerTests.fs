module DQ.Tests.Quantization.LookupFreeQuantizerTests

open Expecto
open TorchSharp
open DQ.Core.Quantization

let private weighted = QuantizerSpec(Kind = "lookup_free", EntropyWeight = 1.0)

let private loss (result: Quantized) =
    result.CodeLoss |> Option.ofObj |> Option.get

[<Tests>]
let tests =
    testList "Quantization.LookupFreeQuantizer" [
        test "a code is the signs' bits, lowest channel first" {
            use quantizer = new LookupFreeQuantizer(weighted, 1, 8)
            let map = torch.tensor([| 0.5f; -2.0f; 1.0f |]).view(1L, 3L, 1L, 1L)
            let result = quantizer.Quantize map
            Expect.equal (result.Indices.item<int64>()) 5L "1 + 4"
            Expect.sequenceEqual (result.Map.data<float32>().ToArray()) [ 1.0f; -1.0f; 1.0f ] "signs"

            Expect.floatClose
                Accuracy.medium
                (result.LatentLoss.ToDouble())
                ((0.25 + 1.0 + 0.0) / 3.0)
                "distance to the signs"
        }

        for bits in 1..5 do
            test $"the entropies are those of the softmax over all codes, {bits} bits" {
                use quantizer = new LookupFreeQuantizer(weighted, 2, 1 <<< bits)
                let map = torch.randn (2L, int64 (2 * bits), 3L, 3L)

                let codes =
                    torch.arange(int64 (1 <<< bits)).view(1L, 1L, 1L, -1L).expand(1L, 2L, 1L, -1L)

                let corners =
                    quantizer.Embed(codes.contiguous ()).view(2L, int64 bits, -1L).transpose(1L, 2L) // (M, K, d)

                let expected =
                    Seq.sum [
                        for group in 0..1 do
                            let slice = map.view(2L, 2L, int64 bits, 9L).select(1L, int64 group)
                            let vectors = slice.permute(0L, 2L, 1L).reshape(-1L, int64 bits)
                            let share = (-torch.cdist(vectors, corners[group]).square()).softmax 1L
                            let entropy (p: torch.Tensor) = -(p * (p + 1e-30).log()).sum -1L
                            (entropy share).mean().ToDouble() - (entropy (share.mean [| 0L |])).ToDouble()
                    ]

                Expect.floatClose
                    { absolute = 1e-4; relative = 1e-4 }
                    ((loss (quantizer.Quantize map)).ToDouble())
                    expected
                    "loss"
            }

        test "sure and evenly used is best, collapse costs ln K" {
            use quantizer = new LookupFreeQuantizer(weighted, 1, 4)
            let corners = quantizer.Embed((torch.arange 4L).view(1L, 1L, 2L, 2L)) * 20.0

            Expect.floatClose
                Accuracy.medium
                ((loss (quantizer.Quantize corners)).ToDouble())
                (-log 4.0)
                "every code once"

            let collapsed = torch.ones (1L, 2L, 2L, 2L) * 20.0

            Expect.floatClose
                { absolute = 1e-5; relative = 0.0 }
                ((loss (quantizer.Quantize collapsed)).ToDouble())
                0.0
                "one code"
        }

        test "descending the entropy loss undoes a collapse" {
            use quantizer = new LookupFreeQuantizer(weighted, 1, 8)
            let mutable map = torch.randn (1L, 3L, 8L, 8L) * 0.1 + 0.5

            let used () =
                quantizer.Quantize(map).Indices.data<int64>().ToArray()
                |> Array.distinct
                |> Array.length

            Expect.equal (used ()) 1 "one code at first"

            for _ in 1..200 do
                let leaf = map.detach().requires_grad_()
                (loss (quantizer.Quantize leaf)).backward()
                map <- leaf.detach () - 2.0 * (leaf.grad |> Option.ofObj |> Option.get)

            Expect.equal (used ()) 8 "all in the end"
        }
    ]
