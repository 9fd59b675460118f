module DQ.Tests.Quantization.GumbelQuantizerTests

open System
open Expecto
open TorchSharp
open DQ.Core.Quantization

let private quantizer (spec: QuantizerSpec) = new GumbelQuantizer(spec, 2, 8, 3)
let private spec = QuantizerSpec(Kind = "gumbel")
let private moment step micro = TrainingMoment(1L, step, 101L, micro)
let private codes (result: Quantized) = result.Indices.data<int64>().ToArray()

let private added (result: Quantized) =
    (result.CodeLoss |> Option.ofObj |> Option.get).ToDouble()

[<Tests>]
let tests =
    testList "Quantization.GumbelQuantizer" [
        test "the temperature falls from 1 to 1/16 on a cosine, over the run or a number of steps" {
            use over = quantizer spec
            let at step = over.Temperature(moment step 0)
            Expect.floatClose Accuracy.high (at 0L) 1.0 "first"
            Expect.floatClose Accuracy.high (at 50L) ((1.0 + 1.0 / 16.0) / 2.0) "half way"
            Expect.floatClose Accuracy.high (at 100L) (1.0 / 16.0) "last"
            Expect.floatClose Accuracy.high (at 500L) (1.0 / 16.0) "after it"
            Expect.isTrue (Seq.forall (fun step -> at (step + 1L) < at step) (seq { 0L .. 99L })) "falls"

            use given =
                quantizer (QuantizerSpec(Kind = "gumbel", TemperatureSteps = Nullable 11L))

            Expect.floatClose Accuracy.high (given.Temperature(moment 10L 0)) (1.0 / 16.0) "given steps"
        }

        test "the temperature reaches the samples: the same draw has another gradient" {
            use first = quantizer spec
            let logits = torch.randn (2L, 16L, 4L, 4L)

            let gradient steps =
                use quantizer =
                    quantizer (QuantizerSpec(Kind = "gumbel", TemperatureSteps = Nullable steps))

                quantizer.load_state_dict (first.state_dict ()) |> ignore
                let map = logits.detach().clone().requires_grad_()
                let result = quantizer.Quantize(map, moment 10L 0)
                result.Map.square().sum().backward()
                codes result, (map.grad |> Option.ofObj |> Option.get).norm().ToDouble()

            let warmCodes, warm = gradient 100000L
            let coldCodes, cold = gradient 11L
            Expect.sequenceEqual coldCodes warmCodes "the largest stays the largest"
            Expect.isGreaterThan (abs (warm / cold - 1.0)) 0.1 "gradients"
        }

        test "noise is a function of seed, step and micro-batch, and evaluation has none" {
            use quantizer = quantizer spec
            let map = torch.randn (2L, 16L, 4L, 4L)
            let draw moment = codes (quantizer.Quantize(map, moment))
            Expect.sequenceEqual (draw (moment 3L 1)) (draw (moment 3L 1)) "the same"

            for other in [ moment 4L 1; moment 3L 0; TrainingMoment(2L, 3L, 101L, 1) ] do
                Expect.isFalse (draw other = draw (moment 3L 1)) "another"

            quantizer.eval ()
            let likeliest = map.view(2L, 2L, 8L, 4L, 4L).argmax(2L).data<int64>().ToArray()
            Expect.sequenceEqual (draw (moment 3L 1)) likeliest "argmax"
        }

        test "samples follow the softmax of the logits" {
            use quantizer = new GumbelQuantizer(spec, 1, 3, 2)
            let logits = torch.log (torch.tensor [| 0.2f; 0.3f; 0.5f |])
            let map = logits.view(1L, 3L, 1L, 1L).expand(1L, 3L, 100L, 100L).contiguous()
            let drawn = codes (quantizer.Quantize(map, moment 0L 0))

            for code, share in [ 0L, 0.2; 1L, 0.3; 2L, 0.5 ] do
                let found = float (drawn |> Array.filter ((=) code) |> Array.length) / 10000.0
                Expect.isLessThan (abs (found - share)) 0.02 $"code {code}"
        }

        test "the divergence from uniform choice is 0 for equal logits and ln K for certain ones" {
            use quantizer = quantizer spec

            Expect.floatClose
                { absolute = 1e-9; relative = 0.0 }
                (added (quantizer.Quantize(torch.zeros (1L, 16L, 2L, 2L))))
                0.0
                "uniform"

            let certain = torch.zeros [| 1L; 2L; 8L; 2L; 2L |]
            certain.select(2L, 3L).fill_ 100.0 |> ignore
            let loss = added (quantizer.Quantize(certain.view (1L, 16L, 2L, 2L)))
            Expect.floatClose Accuracy.medium loss (5e-4 * 2.0 * log 8.0) "certain, two codebooks"
        }
    ]
