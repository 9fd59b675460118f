module DQ.Tests.Quantization.VectorGradientQuantizerTests

open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Likelihoods
open DQ.Core.Quantization
open DQ.Core.Training

let private gradient (tensor: torch.Tensor) =
    tensor.grad |> Option.ofObj |> Option.get

[<Tests>]
let tests =
    testList "Quantization.VectorGradientQuantizer" [
        test
            "codes are pulled to their vectors by the codebook loss alone, vectors to their codes by the latent loss alone" {
            use quantizer =
                new VectorGradientQuantizer(QuantizerSpec(Kind = "vector_gradient"), 1, 4, 3)

            let map = torch.randn(1L, 3L, 5L, 5L).requires_grad_()
            let result = quantizer.Quantize map
            (result.CodeLoss |> Option.ofObj |> Option.get).backward()
            Expect.isNone (Option.ofObj map.grad) "none for the vectors"
            let vectors = map.detach().permute(0L, 2L, 3L, 1L).reshape(-1L, 3L)

            let nearest =
                quantizer.Codebook.detach().select(0L, 0L).index_select(0L, result.Indices.view (-1L))
            // a mean over N·D = 25·3 numbers
            let expected =
                torch.zeros(4L, 3L).index_add_(0L, result.Indices.view (-1L), (nearest - vectors) * (2.0 / 75.0), 1.0)

            Expect.isLessThan
                ((gradient quantizer.Codebook - expected).abs().max().ToSingle())
                1e-6f
                "gradient of the codes"

            (gradient quantizer.Codebook).zero_() |> ignore
            result.LatentLoss.backward ()
            Expect.equal ((gradient quantizer.Codebook).abs().max().ToSingle()) 0.0f "none for the codes"
            Expect.isGreaterThan ((gradient map).abs().max().ToSingle()) 0.0f "the vectors'"
        }

        test "β scales the commitment and not the codebook loss" {
            let model commitment =
                new HierarchicalAutoencoder(
                    AutoencoderSpec(
                        Channels = 8,
                        ResidualChannels = 4,
                        CodeCounts = [| 8 |],
                        Codebooks = 2,
                        CodeWidth = 4,
                        Quantizer = QuantizerSpec(Kind = "vector_gradient", Commitment = commitment),
                        Likelihood = LikelihoodSpec(Kind = "squared_error")
                    )
                )

            use first = model 0.25

            let pixels =
                torch.randint (256L, [| 1L; 3L; 16L; 16L |], dtype = torch.ScalarType.Byte)

            let codes commitment =
                use model = model commitment
                model.load_state_dict (first.state_dict ()) |> ignore
                let losses = ModelLosses.Of(model, model.Run pixels, pixels)
                losses.Total.backward ()

                let _, codes =
                    model.Quantizers[0].named_parameters()
                    |> Seq.map (fun struct (name, p) -> name, p)
                    |> Seq.exactlyOne

                (gradient codes).data<float32>().ToArray(),
                losses.Total.ToSingle() - losses.Reconstruction.ToSingle(),
                losses.Latent.ToSingle()

            let free, added, latent = codes 0.0
            let held, more, _ = codes 2.0
            Expect.sequenceEqual held free "gradient of the codes"
            Expect.isGreaterThan (Array.max (Array.map abs free)) 0.0f "there is one"
            // codebook loss and latent loss have one value
            Expect.floatClose Accuracy.low (float added) (float latent) "weight 1"
            Expect.floatClose Accuracy.low (float more) (3.0 * float latent) "weight 1 + β"
        }

        test "unused codes come back as vectors of the batch, with a count to match" {
            use quantizer =
                new VectorGradientQuantizer(QuantizerSpec(Kind = "vector_gradient", Decay = 0.0), 1, 4, 2)

            torch.no_grad ()
            |> fun guard ->
                use _ = guard
                quantizer.Codebook.fill_ 100.0 |> ignore
                quantizer.Codebook[0, 0] <- torch.zeros 2L

            let map = torch.randn (1L, 2L, 4L, 4L)
            quantizer.Quantize map |> ignore
            Expect.sequenceEqual (quantizer.Learn(1L, 0L)) [ 3L ] "revived"
            Expect.isLessThan (quantizer.Codebook.detach().abs().max().ToSingle()) 10.0f "all near the batch"

            Expect.floatClose
                Accuracy.medium
                (float (quantizer.state_dict().["counts"].[0, 2].ToSingle()))
                (0.02 * 16.0 / 4.0)
                "count"
        }
    ]
