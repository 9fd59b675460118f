module DQ.Tests.Evaluation.PartialDecoderTests

open System
open Expecto
open TorchSharp
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Evaluation
open DQ.Core.Likelihoods
open DQ.Core.Quantization
open DQ.Tests.Autoencoders.HierarchicalAutoencoderTests

let private spec levels kind likelihood =
    AutoencoderSpec(
        Channels = 8,
        ResidualChannels = 4,
        CodeCounts = Array.replicate levels 16,
        Codebooks = 3,
        CodeWidth = 4,
        Quantizer = kind,
        Likelihood = LikelihoodSpec(Kind = likelihood)
    )

let private counted (model: HierarchicalAutoencoder) (pixels: torch.Tensor) =
    model.eval ()
    CodeFrequencies.Count(model, [ pixels.alias () ]).Levels

let private difference (a: torch.Tensor) (b: torch.Tensor) = (a - b).abs().max().ToDouble()

let private seeded action =
    torch.random.manual_seed 11L |> ignore
    action ()

[<Tests>]
let tests =
    testSequenced
    <| testList "Evaluation.PartialDecoder" [
        test "parts: each level alone, prefixes from the top, everything but one codebook" {
            let names levels =
                let spec = spec levels (QuantizerSpec()) "squared_error"
                [ for part in CodePart.OfLevels spec -> part.Name ]

            Expect.equal (names 1) [] "one level"
            Expect.equal (names 2) [ "levels-1"; "levels-0" ] "the top alone is its prefix"

            Expect.equal
                (names 4)
                [ "levels-3"; "levels-2"; "levels-1"; "levels-0"; "levels-2-3"; "levels-1-2-3" ]
                "four levels"

            let ablations = CodePart.Ablations(spec 2 (QuantizerSpec()) "squared_error")

            Expect.equal
                [ for part in ablations -> part.Name ]
                [
                    for l in 0..1 do
                        for m in 0..2 -> $"without-{l}-{m}"
                ]
                "codebooks"
        }

        for kind in [ yield! Quantizers.Names; "projected" ] do
            test $"{kind}: a codebook's mean in its place keeps the map's mean, and its codes count no more" {
                seeded (fun () ->
                    let quantizer =
                        if kind = "projected" then
                            QuantizerSpec(CodeProjection = Nullable 2)
                        else
                            QuantizerSpec(Kind = kind)

                    // the decoder's output is linear in the map, but for its activations: look at the maps themselves
                    use model = new HierarchicalAutoencoder(spec 1 quantizer "squared_error")
                    let pixels = images 6L 3L 16L
                    use decoder = new PartialDecoder(model, counted model pixels)
                    let codes = decoder.Encode pixels
                    use _ = torch.no_grad ()
                    let whole = decoder.Maps(codes, null).[0]

                    for book in 0..2 do
                        let maps (given: torch.Tensor) =
                            decoder.Maps([| given |], CodebookPlace(0, book)).[0]

                        let without = maps codes[0]
                        let mean (map: torch.Tensor) = map.mean ([| 0L; 2L; 3L |])
                        Expect.isLessThan (difference (mean without) (mean whole)) 1e-5 "mean over the images"
                        let other = codes[0].clone()
                        other.select(1L, int64 book).fill_(7L).Dispose()
                        Expect.equal (difference (maps other) without) 0.0 "its codes don't matter"
                        let another = codes[0].clone()
                        let elsewhere = (book + 1) % 3

                        let next = (another.select (1L, int64 elsewhere) + 1L).fmod(torch.tensor 16L)
                        another.select(1L, int64 elsewhere).copy_(next).Dispose()

                        Expect.isGreaterThan (difference (maps another) without) 1e-4 "the others' do")
            }

        test "with one codebook left out of one, the map is the same everywhere" {
            seeded (fun () ->
                let one =
                    AutoencoderSpec(
                        Channels = 8,
                        ResidualChannels = 4,
                        CodeCounts = [| 8 |],
                        Codebooks = 1,
                        CodeWidth = 4
                    )

                use model = new HierarchicalAutoencoder(one)
                let pixels = images 3L 3L 16L
                use decoder = new PartialDecoder(model, counted model pixels)
                use _ = torch.no_grad ()
                let map = decoder.Maps(decoder.Encode pixels, CodebookPlace(0, 0)).[0]

                Expect.equal
                    (difference map (map.narrow(0L, 0L, 1L).narrow(2L, 0L, 1L).narrow(3L, 0L, 1L)))
                    0.0
                    "a constant")
        }

        test "an irrelevant codebook costs nothing, a relevant one does; full and levels are the model's own" {
            seeded (fun () ->
                use model = new HierarchicalAutoencoder(spec 2 (QuantizerSpec()) "logistic_mixture")
                // codebook 1 of level 0 says the same whatever code is chosen
                let quantizer = model.Quantizers[0] :?> DepthwiseQuantizer

                (use _ = torch.no_grad ()
                 let codes = quantizer.Codebook.select (0L, 1L)
                 codes.copy_ (codes.narrow(0L, 0L, 1L).expand_as codes) |> ignore)
                // choices that differ, so that its histogram isn't trivial
                let pixels = images 5L 3L 16L
                use decoder = new PartialDecoder(model, counted model pixels)

                let record =
                    Ablation.Of(
                        decoder,
                        "test",
                        [ pixels.narrow(0L, 0L, 3L).clone(); pixels.narrow(0L, 3L, 2L).clone() ]
                    )

                Expect.equal (record.Images, record.Split) (5L, "test") "of what"
                use _ = torch.no_grad ()
                let pass = model.Run pixels
                let nats = model.Likelihood.Loss(pass.Output, pixels).mean().ToDouble()
                Expect.floatClose Accuracy.medium record.Full.ReconstructionNatsPerDim.Value nats "full"
                Expect.equal [ for part in record.Levels -> List.ofSeq part.Levels ] [ [ 1 ]; [ 0 ] ] "levels"

                let top =
                    model.Decode(model.Encode pixels, 16L, 16L, System.Collections.Generic.HashSet [ 1 ])

                let ofTop = model.Likelihood.Loss(top, pixels).mean().ToDouble()

                Expect.floatClose
                    Accuracy.medium
                    record.Levels[0].Quality.ReconstructionNatsPerDim.Value
                    ofTop
                    "the top alone"

                let found =
                    dict [
                        for codebook in record.Codebooks -> (codebook.Level, codebook.Codebook), codebook
                    ]

                Expect.equal found.Count 6 "every codebook"
                Expect.isLessThan (abs found[(0, 1)].AddedNatsPerDim.Value) 1e-6 "irrelevant: no nats"
                Expect.isLessThan (abs found[(0, 1)].LostPsnrDb) 1e-5 "irrelevant: no decibel"
                Expect.isGreaterThan (abs found[(0, 0)].AddedNatsPerDim.Value) 1e-5 "relevant"

                for codebook in record.Codebooks do
                    Expect.floatClose
                        Accuracy.high
                        (codebook.Quality.ReconstructionNatsPerDim.Value
                         - record.Full.ReconstructionNatsPerDim.Value)
                        codebook.AddedNatsPerDim.Value
                        "added")
        }

        test "squared error has no nats; no images are an error" {
            seeded (fun () ->
                use model = new HierarchicalAutoencoder(spec 1 (QuantizerSpec()) "squared_error")
                let pixels = images 2L 3L 16L
                use decoder = new PartialDecoder(model, counted model pixels)
                let record = Ablation.Of(decoder, "test", [ pixels ])
                Expect.isFalse record.Full.ReconstructionNatsPerDim.HasValue "full"
                Expect.isFalse record.Codebooks[0].AddedNatsPerDim.HasValue "added"
                Expect.isEmpty record.Levels "one level is everything"

                Expect.throwsT<InvalidOperationException>
                    (fun () -> Ablation.Of(decoder, "test", []) |> ignore)
                    "nothing")
        }
    ]
