module DQ.Tests.Training.TrainingSessionTests

open System
open System.Diagnostics
open System.IO
open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Formats
open DQ.Core.Images
open DQ.Core.Training
open DQ.Tests.Autoencoders.HierarchicalAutoencoderTests
open DQ.Tests.Sessions

let private training =
    TrainingSpec(Steps = 100L, BatchSize = 8, LearningRate = 1e-3)

let private session (training: TrainingSpec) =
    let made = ofAutoencoder (tiny, training, 0L, torch.CPU)
    made.InitializeCodebooks [| images 8L 3L 32L |]
    made

/// A few batches to train on.
let private batches = [|
    for number in 0..9 ->
        torch
            .tensor(
                [|
                    for index in 0..7 do
                        yield! DeadLeaves.Generate(7L, int64 (number * 8 + index), 32)
                |],
                dtype = torch.ScalarType.Byte
            )
            .view(8L, 3L, 32L, 32L)
|]

let private batch number = batches[number]

let private weights (session: TrainingSession) =
    session.Model.state_dict ()
    |> Seq.sortBy _.Key
    |> Seq.collect (fun entry -> entry.Value.cpu().contiguous().data<float32>().ToArray())
    |> Seq.toArray

let private temporary () =
    Path.Combine(Directory.CreateTempSubdirectory("dq-test-").FullName, "checkpoint.safetensors")

[<Tests>]
let tests =
    testSequenced
    <| testList "Training.TrainingSession" [
        test "the loss falls" {
            use session = session training
            let reports = [ for step in 0..39 -> session.Step(batch (step % 4)) ]
            Expect.isLessThan reports[39].Reconstruction (0.7 * reports[0].Reconstruction) "reconstruction"
            Expect.equal session.StepsDone 40L "steps"
            Expect.equal session.ImagesSeen 320L "images"
        }

        test "a session from a checkpoint goes on as if nothing had happened" {
            use undisturbed = session training

            for step in 0..5 do
                undisturbed.Step(batch step) |> ignore

            let path = temporary ()
            undisturbed.Save path

            for step in 6..9 do
                undisturbed.Step(batch step) |> ignore

            torch.rand 3L |> ignore
            use resumed = loaded (path, training, torch.CPU)
            Expect.equal resumed.StepsDone 6L "steps"

            for step in 6..9 do
                resumed.Step(batch step) |> ignore

            Expect.sequenceEqual (weights resumed) (weights undisturbed) "bit for bit"
        }

        for what, value in [ "that is not finite", nanf; "whose loss explodes", 1e4f ] do
            test $"a step {what} is skipped and leaves no trace" {
                use session = session training
                let usual = session.Step(batch 0)
                let parameter = session.Model.state_dict().["decoder.2.bias"]
                let kept = parameter.clone ()

                let put (change: torch.Tensor -> torch.Tensor) =
                    use _ = torch.no_grad ()
                    change parameter |> ignore

                put _.fill_(value)
                let before = weights session
                let report = session.Step(batch 1)
                Expect.isTrue report.Skipped "skipped"

                Expect.equal
                    report.UsualLoss
                    (Nullable(usual.Reconstruction + usual.Latent))
                    "what is usual is what was learned from"

                Expect.equal
                    (Array.map BitConverter.SingleToInt32Bits (weights session))
                    (Array.map BitConverter.SingleToInt32Bits before)
                    "nothing moved"

                put _.copy_(kept)
                Expect.isFalse (session.Step(batch 2)).Skipped "goes on"
            }

        test "a session that starts from another's checkpoint has its weights and codes and nothing else" {
            use earlier = session training

            for step in 0..4 do
                earlier.Step(batch step) |> ignore

            let path = temporary ()
            earlier.Save path

            use later =
                new TrainingSession(
                    AutoencoderObjective.StartingFrom(path, tiny, training.Freeze, 9L),
                    training,
                    9L,
                    torch.CPU
                )

            Expect.sequenceEqual (weights later) (weights earlier) "weights and codes"

            Expect.equal
                (later.StepsDone, later.ImagesSeen, later.CodebooksReady, later.Progress.OptimizerUpdates, later.Seed)
                (0L, 0L, true, 0L, 9L)
                "nothing done"

            Expect.isFalse (later.Step(batch 5)).Skipped "trains"
        }

        test "frozen parts stay as they are, and a session with some goes on exactly" {
            let part (prefix: string) (session: TrainingSession) =
                session.Model.state_dict ()
                |> Seq.filter (fun entry -> entry.Key.StartsWith prefix)
                |> Seq.collect (fun entry -> entry.Value.contiguous().data<float32>().ToArray())
                |> Seq.toArray

            let prefixes =
                dict [
                    "encoders", "enc_blocks."
                    "projections", "projections."
                    "codebooks", "quantizers."
                    "conditioners", "dec_blocks."
                    "upsamplers", "upsample."
                    "decoder", "decoder."
                ]

            Expect.equal
                (List.ofSeq prefixes.Keys)
                (List.ofSeq HierarchicalAutoencoder.PartNames)
                "every part has a name"

            for frozen in
                [
                    [ "encoders"; "codebooks" ]
                    [ "projections"; "conditioners"; "upsamplers"; "decoder" ]
                ] do
                let training =
                    TrainingSpec(Steps = 100L, BatchSize = 8, LearningRate = 1e-3, Freeze = List.toArray frozen)

                use session = session training
                let before = [ for prefix in prefixes.Values -> part prefix session ]
                session.Step(batch 0) |> ignore
                let path = temporary ()
                session.Save path

                for step in 1..2 do
                    session.Step(batch step) |> ignore

                for (name, before), prefix in Seq.zip (Seq.zip prefixes.Keys before) prefixes.Values do
                    let moved = part prefix session <> before
                    Expect.equal moved (not (List.contains name frozen)) $"%A{frozen}: {name}"

                use resumed = loaded (path, training, torch.CPU)

                for step in 1..2 do
                    resumed.Step(batch step) |> ignore

                Expect.sequenceEqual (weights resumed) (weights session) "bit for bit"
        }

        test "accumulated micro-batches are one step" {
            use whole = session training

            use parts =
                ofAutoencoder (
                    tiny,
                    TrainingSpec(Steps = 100L, BatchSize = 8, LearningRate = 1e-3, Accumulate = 4),
                    0L,
                    torch.CPU
                )

            parts.Model.load_state_dict (whole.Model.state_dict ()) |> ignore
            parts.InitializeCodebooks [| batch 9 |]
            parts.Model.load_state_dict (whole.Model.state_dict ()) |> ignore
            let a, b = whole.Step(batch 1), parts.Step(batch 1)
            Expect.floatClose Accuracy.medium b.Loss a.Loss "loss"
            Expect.floatClose Accuracy.medium b.GradientNorm a.GradientNorm "gradient norm"

            let codes (session: TrainingSession) =
                session.Model.state_dict().["quantizers.0.codes"]

            Expect.isLessThan ((codes whole - codes parts).abs().max().ToSingle()) 1e-5f "codebooks learned once"
        }

        test "memory stays flat over hundreds of steps" {
            use session = session training

            for step in 0..49 do
                session.Step(batch (step % 4)) |> ignore

            let resident () =
                GC.Collect()
                GC.WaitForPendingFinalizers()
                use self = Process.GetCurrentProcess()
                self.WorkingSet64

            let memory = resident ()
            let tensors = torch.Tensor.TotalCount

            for step in 0..299 do
                session.Step(batch (step % 4)) |> ignore

            let grown = resident () - memory
            Expect.isLessThanOrEqual torch.Tensor.TotalCount tensors "live tensors"
            Expect.isLessThan (float grown / 1048576.0) 24.0 "megabytes more"
        }

        test "a checkpoint that is something else is refused by name" {
            let path = temporary ()
            SafeTensorsFile.Write(path, [ Collections.Generic.KeyValuePair("a", torch.zeros 1L) ])

            Expect.throwsC (fun () -> loaded (path, training, torch.CPU) |> ignore) (fun error ->
                Expect.stringContains error.Message path "names the file")
        }

        test "a checkpoint of an unknown schema version is refused with the version" {
            let path = temporary ()

            SafeTensorsFile.Write(
                path,
                [ Collections.Generic.KeyValuePair("a", torch.zeros 1L) ],
                dict [ "schema", "99" ] |> Collections.Generic.Dictionary
            )

            Expect.throwsC (fun () -> loaded (path, training, torch.CPU) |> ignore) (fun error ->
                Expect.stringContains error.Message "schema version 99" "names the version")
        }
    ]

[<Tests>]
let schedule =
    testList "Training.LearningRate" [
        test "warms up, then follows the cosine to its end" {
            let spec =
                TrainingSpec(
                    Steps = 101L,
                    LearningRate = 1.0,
                    Schedule = "cosine",
                    WarmupSteps = 10L,
                    FinalLearningRate = 0.1
                )

            Expect.floatClose Accuracy.high (LearningRate.At(spec, 0L)) 0.1 "first"
            Expect.floatClose Accuracy.high (LearningRate.At(spec, 9L)) 1.0 "warm"
            Expect.floatClose Accuracy.high (LearningRate.At(spec, 55L)) 0.55 "half way"
            Expect.floatClose Accuracy.high (LearningRate.At(spec, 100L)) 0.1 "last"
        }

        test "constant stays" {
            let spec = TrainingSpec(LearningRate = 2e-4)
            Expect.equal (LearningRate.At(spec, 400L)) 2e-4 "rate"
        }
    ]
