module DQ.Tests.Published.PublishedCheckpointTests

open System.Collections.Generic
open Expecto
open DQ.Core.Autoencoders
open DQ.Core.Formats
open DQ.Core.Likelihoods
open DQ.Tests.Fixtures
open TorchSharp
open DQ.Core.Published

let private checkpoint = fixture [ "pytorch"; "published-checkpoint.pt" ]

/// What the model of the checkpoint computed when it was saved.
let private results () =
    use file = PyTorchArchive.Open(fixture [ "pytorch"; "published-results.pt" ])
    let root = file.Root :?> PickledDictionary

    let tensor name =
        match root.TryGetValue name with
        | true, (:? PickledTensor as tensor) -> tensor.Read()
        | _ -> failtest $"no {name}"

    let gradients =
        file.StateDictionary "gradients"
        |> Seq.map (fun (KeyValue(name, tensor)) -> KeyValuePair(name, tensor.Read()))
        |> Dictionary

    tensor "pixels", tensor "output", tensor("reconstruction").ToDouble(), gradients

let private spec (file: PublishedCheckpoint) =
    match file.Spec with
    | null -> failtest "expected a spec"
    | spec -> spec

let private load (file: PublishedCheckpoint) =
    let model = new HierarchicalAutoencoder(spec file)
    let names = ReferenceNames model
    let state = model.state_dict ()
    use _ = torch.no_grad ()

    for KeyValue(name, tensor) in file.ReadWeights names do
        state[name].copy_ tensor |> ignore

    model.eval ()
    model, names

let private distance (left: torch.Tensor) (right: torch.Tensor) =
    ((left - right).norm() / right.norm ()).ToDouble()

[<Tests>]
let tests =
    testList "Published.PublishedCheckpoint" [
        test "its model computes here what it computed there" {
            use _ = torch.NewDisposeScope()
            use file = PublishedCheckpoint.Open checkpoint
            let model, _ = load file
            let pixels, output, reconstruction, _ = results ()
            let here = model.Run(pixels).Output
            Expect.isLessThan (distance here output) 1e-5 "decoder output"

            // its targets are the normalized values for this loss, as here
            let loss = model.Likelihood.Loss(here, pixels).mean().ToDouble()
            Expect.isLessThan (abs (loss / reconstruction - 1.0)) 1e-5 "reconstruction loss"
            model.Dispose()
        }

        test "the settings stored, the published defaults for the rest, the statistics" {
            use file = PublishedCheckpoint.Open checkpoint
            let spec = spec file
            Expect.equal (spec.Channels, spec.CoderBlocks, spec.CodeWidth, spec.Codebooks) (4, 1, 3, 2) "stored"
            Expect.equal (spec.Stride, spec.ImageChannels, spec.Quantizer.Commitment) (2, 3, 0.25) "defaults"
            Expect.equal spec.Likelihood (LikelihoodSpec(Kind = "squared_error")) "loss"
            Expect.equal file.Iterations 2L "iterations"
            Expect.isGreaterThan file.TrainingLoss.Value 0.0 "loss"
            Expect.isEmpty file.Notes "nothing to note"
        }

        test "Adam's moments are those of the parameters' gradients" {
            use _ = torch.NewDisposeScope()
            use file = PublishedCheckpoint.Open checkpoint
            let model, names = load file
            let _, _, _, gradients = results ()
            let gradients = names.FromReference(gradients, "results", trainedOnly = true)

            match file.ReadMoments names with
            | null -> failtest "expected moments"
            | moments ->
                Expect.equal moments.Updates 1L "one step"

                for KeyValue(name, gradient) in gradients do
                    // after one step: 0.1 g and 0.001 g²
                    Expect.isLessThan (distance moments.First[name] (gradient * 0.1)) 1e-5 name
                    Expect.isLessThan (distance moments.Second[name] (gradient.square () * 0.001)) 1e-5 name

            model.Dispose()
        }

        test "a bare state dict has no spec; weights of another model are refused" {
            use _ = torch.NewDisposeScope()
            let path = fixture [ "pytorch"; "nested.pt" ]
            use file = PublishedCheckpoint.Open path
            Expect.isNull file.Spec "no spec"

            use model =
                new HierarchicalAutoencoder(AutoencoderSpec(Channels = 4, ResidualChannels = 2, CodeWidth = 2))

            Expect.isNull (file.ReadMoments(ReferenceNames model)) "no moments"

            Expect.throwsC (fun () -> file.ReadWeights(ReferenceNames model) |> ignore) (fun error ->
                Expect.stringStarts error.Message path "names the file"
                Expect.stringContains error.Message "2 unknown: 'weight', 'bias'" "and what it found")
        }
    ]
