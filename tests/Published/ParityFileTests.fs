module DQ.Tests.Published.ParityFileTests

open System.Collections.Generic
open Expecto
open DQ.Core.Autoencoders
open DQ.Tests.Fixtures
open TorchSharp
open DQ.Core.Formats
open DQ.Core.Published

let private models = [
    "dq-ce-1level"
    "dq-mix-2level"
    "dq-mix-train-step"
    "dq-mse-clipped-train-step"
    "vq-mse-1level"
]

let private path name =
    fixture [ "parity"; $"{name}.safetensors" ]

let private openModel name =
    match ParityFile.Open(path name) with
    | :? ModelParity as parity -> parity
    | other -> failtest $"expected a model, got {other}"

/// A copy of a parity file with other metadata or tensors.
let private changed name (metadata: Map<string, string> -> Map<string, string>) tensors (target: string) =
    use _ = torch.NewDisposeScope()
    use file = SafeTensorsFile.Open(path name)
    let all = [ for entry in file.Entries -> KeyValuePair(entry.Name, file.Read entry.Name) ]
    let texts = file.Metadata |> Seq.map (|KeyValue|) |> Map.ofSeq |> metadata
    SafeTensorsFile.Write(target, tensors all, Dictionary texts)

let private refusal (target: string) =
    try
        (ParityFile.Open target).Dispose()
        ""
    with :? WeightsException as error ->
        Expect.stringStarts error.Message target "names the file"
        error.Message

[<Tests>]
let tests =
    testList "Published.ParityFile" [
        for name in models do
            test $"{name}: weights map to the model's names and back unchanged, gradients map too" {
                use _ = torch.NewDisposeScope()
                use parity = openModel name
                use model = new HierarchicalAutoencoder(parity.Spec)
                let names = ReferenceNames model
                let ours = names.FromReference(parity.Weights, name)
                let back = names.ToReference ours
                Expect.sequenceEqual (back |> Seq.map _.Key) parity.Weights.Keys "names, in the order of the file"

                for KeyValue(name, tensor) in back do
                    Expect.isTrue (tensor.Equals(parity.Weights[name])) name

                let trained = names.Entries |> Seq.filter _.Trained |> Seq.map _.Name
                Expect.sequenceEqual parity.Gradients.Keys trained "gradients, in the order of the parameters"
                names.FromReference(parity.Gradients, name, trainedOnly = true) |> ignore

                match parity.Step with
                | null -> ()
                | step -> names.FromReference(step.StateAfter, name) |> ignore
            }

        test "a model's file, typed" {
            use parity = openModel "dq-mix-train-step"
            let spec = parity.Spec
            Expect.sequenceEqual spec.CodeCounts [ 4; 4 ] "codes"
            Expect.equal (spec.Codebooks, spec.CodeWidth, spec.Channels, spec.ImageChannels) (2, 8, 8, 3) "sizes"
            Expect.equal spec.Quantizer.Kind "depthwise" "quantizer"
            Expect.equal spec.Quantizer.Revival "published" "revival"
            Expect.equal (spec.Likelihood.Kind, spec.Likelihood.Components) ("logistic_mixture", 10) "likelihood"
            Expect.sequenceEqual parity.Pixels.shape [ 12L; 3L; 16L; 16L ] "pixels"
            Expect.sequenceEqual parity.Codes[0].shape [ 12L; 2L; 4L; 4L ] "the bottom's codes come first"
            Expect.sequenceEqual parity.Codes[1].shape [ 12L; 2L; 2L; 2L ] "the top's last"

            Expect.floatClose
                Accuracy.medium
                (parity.Reconstruction + spec.Quantizer.Commitment * parity.Latent)
                parity.Loss
                "the loss is the sum"


            match parity.Step with
            | null -> failtest "expected a step"
            | step -> Expect.isGreaterThan step.GradientNorm 0.0 "its gradient"
        }

        test "VQ and other losses; files without a step" {
            use vector = openModel "vq-mse-1level"
            Expect.equal (vector.Spec.Quantizer.Kind, vector.Spec.Likelihood.Kind) ("vector", "squared_error") "vq, mse"
            Expect.isNull vector.Step "no step"
            use categorical = openModel "dq-ce-1level"
            Expect.equal categorical.Spec.Likelihood.Kind "categorical" "ce"
        }

        test "a likelihood's file" {
            match ParityFile.Open(path "likelihood") with
            | :? LikelihoodParity as parity ->
                use parity = parity
                Expect.equal parity.Spec.Components 10 "components"
                Expect.sequenceEqual parity.Logits.shape [ 3L; 100L; 8L; 8L ] "logits"
                Expect.equal parity.NatsPerDimension64.dtype torch.float64 "float64"
            | other -> failtest $"expected a likelihood, got {other}"
        }

        test "refused: other files, missing tensors, settings that make no model" {
            withFile (fun target ->
                SafeTensorsFile.Write(target, [])
                Expect.stringContains (refusal target) "'model.*'" "no parity file"

                changed "vq-mse-1level" id (List.filter (fun pair -> pair.Key <> "eval.loss")) target
                Expect.stringContains (refusal target) "'eval.loss'" "a missing tensor"

                changed "vq-mse-1level" (Map.add "vq_type" "rq" >> Map.add "channel" "many") id target
                let message = refusal target
                Expect.stringContains message "vq_type: expected one of dq, vq, got 'rq'" "the first"
                Expect.stringContains message "channel: expected an integer, got 'many'" "the second"

                changed "vq-mse-1level" (Map.add "stride" "3") id target
                Expect.stringContains (refusal target) "stride: expected 2 or 4, got 3" "no such model")
        }
    ]
