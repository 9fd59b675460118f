module DQ.Tests.Quantization.FactorizedQuantizerTests

open Expecto
open TorchSharp
open DQ.Core.Quantization

[<Tests>]
let tests =
    testList "Quantization.FactorizedQuantizer" [
        test "codes live in n dimensions and each codebook has a way up of its own" {
            use inner = new DepthwiseQuantizer(QuantizerSpec(), 2, 8, 3)
            use quantizer = new FactorizedQuantizer(inner, 10)
            Expect.equal (quantizer.InputChannels, quantizer.OutputChannels) (6, 20) "channels"
            Expect.sequenceEqual (inner.Codebook.shape) [| 2L; 8L; 3L |] "codes"
            let codes = torch.zeros (1L, 2L, 1L, 1L, dtype = torch.ScalarType.Int64)
            let one = quantizer.Embed codes
            codes[0, 1, 0, 0] <- torch.tensor 3L
            let other = quantizer.Embed codes
            Expect.equal ((one - other).narrow(1L, 0L, 10L).abs().max().ToSingle()) 0.0f "the first codebook's channels"
            Expect.isGreaterThan ((one - other).narrow(1L, 10L, 10L).abs().max().ToSingle()) 0.0f "the second's"
        }

        test "one way up for a residual sum" {
            use quantizer =
                new FactorizedQuantizer(new ResidualQuantizer(QuantizerSpec(Kind = "residual"), 4, 8, 3), 10)

            Expect.equal (quantizer.InputChannels, quantizer.OutputChannels) (3, 10) "channels"
        }
    ]
