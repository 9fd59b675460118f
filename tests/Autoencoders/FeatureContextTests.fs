/// A context head on an autoencoder's decoder.
module DQ.Tests.Autoencoders.FeatureContextTests

open System
open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Evaluation
open DQ.Core.Likelihoods
open DQ.Core.Likelihoods.Context
open DQ.Core.Quantization
open DQ.Core.Training
open DQ.Tests.Fixtures
open DQ.Tests.Likelihoods.Shared

let private spec =
    AutoencoderSpec(
        Channels = 8,
        ResidualChannels = 4,
        CoderBlocks = 1,
        CodeCounts = [| 8; 8 |],
        Codebooks = 2,
        CodeWidth = 4,
        Likelihood = LikelihoodSpec(Components = 2, Context = "local"),
        Context = ContextSpec(Width = 12, Mixtures = 2)
    )

let private training =
    TrainingSpec(Steps = 20L, BatchSize = 4, PixelsPerStep = 200, LearningRate = 3e-3)

let private batch seed = pixels seed [ 4L; 3L; 12L; 12L ]

/// The same weights in a head that stands alone.
let private alone (model: HierarchicalAutoencoder) =
    let head = new ContextHead(spec.Context)
    let stored = model.state_dict ()
    use _ = torch.no_grad ()

    for struct (name, parameter) in head.named_parameters () do
        parameter.copy_ stored[$"context.head.{name}"] |> ignore

    head

let private join (model: HierarchicalAutoencoder) =
    let stored = model.state_dict ()
    stored["context.join.weight"]

let private session spec =
    new TrainingSession(new AutoencoderObjective(spec, [], 3L, training), training, 3L, torch.CPU)

let private begun (session: TrainingSession) =
    if not session.CodebooksReady then
        session.InitializeCodebooks [| batch 0; batch 1 |]

    session

[<Tests>]
let tests =
    testSequenced
    <| testList "Autoencoders.FeatureContext" [
        test "begins as the head alone, and sees the codes once its map is not zero" {
            use _ = torch.NewDisposeScope()
            torch.manual_seed 1L |> ignore
            use model = new HierarchicalAutoencoder(spec)
            use head = alone model
            let images = batch 5
            let pass = model.Run images
            let context = nonNull model.Context

            let expected =
                head.NatsPerPixel images
                |> Seq.chunkBySize 144
                |> Seq.map (Array.averageBy float)

            let nats = floats (context.NatsPerDim(nonNull pass.Features, images))
            Expect.isLessThan (worstRelative nats [| for image in expected -> image / 3.0 |]) 1e-5 "zero map"

            use _ = torch.no_grad ()
            (join model).fill_(scalar 0.1) |> ignore
            let other = floats (context.NatsPerDim(nonNull pass.Features, images))
            Expect.isGreaterThan (distance other nats) 1e-4 "another map"
        }

        test "a loss over all pixels is that of whole images, and reaches map and decoder" {
            use _ = torch.NewDisposeScope()
            torch.manual_seed 2L |> ignore
            use model = new HierarchicalAutoencoder(spec)

            using (torch.no_grad ()) (fun _ -> (join model).normal_(0.0, 0.3) |> ignore)

            let images = batch 6
            let pass = model.Run images
            let context = nonNull model.Context
            let loss = context.Loss(nonNull pass.Features, images, null)

            let mean =
                floats (context.NatsPerDim(nonNull pass.Features, images)) |> Array.average

            Expect.floatClose Accuracy.medium (float (loss.item<float32>())) mean "mean"
            loss.backward ()

            for struct (name, parameter) in model.named_parameters () do
                if name = "context.join.weight" || name = "decoder.0.blocks.0.weight" then
                    let gradient = nonNull parameter.grad
                    Expect.isGreaterThan (gradient.norm().item<float32>()) 0f name
        }

        for kind in Quantizers.Names do
            test $"{kind}: trains, with the factorized likelihood at its weight beside" {
                let spec = altered spec [ "Quantizer", box (QuantizerSpec(Kind = kind)) ]
                use session = begun (session spec)
                let reports = [ for step in 0..3 -> session.Step(batch step) ]
                Expect.all reports (fun report -> not report.Skipped && Double.IsFinite report.Loss) "finite"
                use model = (session.Objective :?> AutoencoderObjective).Model
                use _ = torch.NewDisposeScope()
                let pass = model.Run(batch 9)
                let losses = ModelLosses.Of(model, pass, batch 9)
                let auxiliary = model.Likelihood.Loss(pass.Output, batch 9).mean()
                let own = losses.Reconstruction.item<float32>() + 0.1f * auxiliary.item<float32>()
                let total = own + 0.25f * losses.Latent.item<float32>()

                let codes =
                    pass.Levels
                    |> Seq.sumBy (fun level ->
                        match level.CodeLoss with
                        | null -> 0f
                        | loss -> loss.item<float32>())

                Expect.floatClose Accuracy.low (float (losses.Total.item<float32>())) (float (total + codes)) "total"
            }

        test "an evaluation has both reconstructions" {
            use session = begun (session spec)
            session.Step(batch 1) |> ignore
            let model = (session.Objective :?> AutoencoderObjective).Model
            let evaluator = SplitEvaluator(model, CodeFrequencies.Count(model, [ batch 2 ]))
            evaluator.Add(batch 3)
            let split = evaluator.Finish()
            use _ = torch.NewDisposeScope()
            let validated = MeanLoss.Of(model, [ batch 3 ])
            Expect.floatClose Accuracy.medium split.ReconstructionNatsPerDim.Value validated "with context"

            let without =
                model.Likelihood.Loss((model.Run(batch 3)).Output, batch 3).mean().item<float32>()

            Expect.floatClose
                Accuracy.medium
                split.ReconstructionWithoutContextBitsPerDim.Value
                (float without / log 2.0)
                "without"

            Expect.floatClose
                Accuracy.high
                split.TotalEmpiricalBitsPerDim.Value
                (split.ReconstructionBitsPerDim.Value + split.CodeRateEmpiricalBitsPerDim)
                "total"
        }

        test "without a context a model has no more weights than before" {
            use model =
                new HierarchicalAutoencoder(altered spec [ "Likelihood", box (LikelihoodSpec(Components = 2)) ])

            Expect.isNull model.Context "none"

            Expect.isFalse (model.state_dict().Keys |> Seq.exists (fun name -> name.StartsWith "context")) "no weights"
        }
    ]
