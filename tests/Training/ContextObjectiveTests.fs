/// A context head as a training session trains it.
module DQ.Tests.Training.ContextObjectiveTests

open System.IO
open Expecto
open TorchSharp
open DQ.Core.Formats
open DQ.Core.Likelihoods.Context
open DQ.Core.Training
open DQ.Tests.TemporaryFolder
open DQ.Tests.Likelihoods.Shared

let private spec = ContextSpec(Width = 12, Mixtures = 2)

let private training =
    TrainingSpec(
        Steps = 40L,
        BatchSize = 6,
        PixelsPerStep = 300,
        LearningRate = 1e-2,
        SecondMoment = 0.99,
        ClipNorm = 1.0
    )

let private session training =
    new TrainingSession(new ContextObjective(spec, training, 5L), training, 5L, torch.CPU)

/// Smooth, with noise.
let private batch step =
    use _ = torch.NewDisposeScope()
    let noise = (normal step [ 6L; 3L; 10L; 10L ]).mul(scalar 6.0)
    let slope = torch.linspace (60.0, 190.0, 10L, torch.float64)
    (noise + slope).clamp(scalar 0.0, scalar 255.0).``to``(torch.uint8).DetachFromDisposeScope()

let private steps first last (session: TrainingSession) = [
    for step in first..last do
        use pixels = batch step
        session.Step pixels
]

let private weights (session: TrainingSession) = [
    for entry in session.Objective.Network.state_dict () -> entry.Key, entry.Value.data<float32>().ToArray()
]

[<Tests>]
let tests =
    testSequenced
    <| testList "Training.ContextObjective" [
        test "learns, and counts what it learned by in nats per dimension" {
            use session = session training
            let reports = steps 0 39 session
            Expect.isLessThan reports[39].Loss (reports[0].Loss - 0.1) "loss"
            Expect.equal reports[39].Reconstruction reports[39].Loss "all of it is the pixels'"
            Expect.isEmpty reports[39].Levels "no levels"
        }

        test "goes on from a checkpoint as if nothing had happened" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "context.safetensors")
                use whole = session training
                steps 0 11 whole |> ignore
                whole.Save file
                steps 12 20 whole |> ignore
                use resumed = session training
                resumed.Restore file
                steps 12 20 resumed |> ignore
                Expect.equal (weights resumed) (weights whole) "weights"

                use stored = ContextCheckpoint.Open file
                Expect.equal stored.Spec spec "spec"

                Expect.throwsC (fun () -> Checkpoint.Open file |> ignore) (fun error ->
                    Expect.equal
                        error.Message
                        $"{file}: expected a checkpoint of kind autoencoder, found context"
                        "kind"))
        }

        test "micro-batches together show the pixels of a step" {
            use one = session training

            use cut =
                session (TrainingSpec(Steps = 40L, BatchSize = 6, Accumulate = 3, PixelsPerStep = 300))

            let whole = (steps 0 0 one).Head
            let parts = (steps 0 0 cut).Head
            // other pixels of the same images
            Expect.isLessThan (abs (whole.Loss - parts.Loss)) (0.05 * whole.Loss) "loss"
        }

        test "pixels are a function of seed, step and micro-batch, spread evenly over the images" {
            let at step micro =
                RandomPixels.Choose(DQ.Core.Quantization.TrainingMoment(5L, step, 40L, micro), 60, 6, 100)

            Expect.equal (at 3L 0) (at 3L 0) "again"
            Expect.notEqual (at 3L 0) (at 4L 0) "another step"
            Expect.notEqual (at 3L 0) (at 3L 1) "another micro-batch"

            Expect.equal
                (at 3L 0 |> Array.countBy (fun position -> position / 100) |> Array.map snd)
                (Array.create 6 10)
                "evenly"
        }

        test "a checkpoint with a number that is not finite is refused" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "context.safetensors")
                use session = session training
                use _ = torch.no_grad ()

                let struct (_, parameter) =
                    session.Objective.Network.named_parameters () |> Seq.head

                parameter.fill_ (scalar nan) |> ignore
                session.SaveModel file
                use stored = ContextCheckpoint.Open file
                Expect.throwsT<WeightsException> (fun () -> stored.Head() |> ignore) "refused")
        }
    ]
