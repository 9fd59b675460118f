module DQ.Tests.Published.WeightsSourceTests

open System.Collections.Generic
open Expecto
open DQ.Core.Autoencoders
open DQ.Core.Formats
open DQ.Core.Published
open DQ.Core.Quantization
open DQ.Core.Training
open DQ.Tests.Fixtures
open TorchSharp

let private spec kind =
    AutoencoderSpec(
        Channels = 4,
        ResidualChannels = 2,
        CoderBlocks = 1,
        CodeCounts = [| 5; 8 |],
        Codebooks = 2,
        CodeWidth = 3,
        Quantizer = QuantizerSpec(Kind = kind)
    )

let private bytes (tensor: torch.Tensor) =
    tensor.shape, tensor.contiguous().bytes.ToArray()

/// Equal names, shapes and bytes.
let private expectSame (left: HierarchicalAutoencoder) (right: HierarchicalAutoencoder) =
    let other = right.state_dict ()

    for KeyValue(name, tensor) in left.state_dict () do
        Expect.equal (bytes other[name]) (bytes tensor) name

let private filled (path: string) (spec: AutoencoderSpec) =
    use source = WeightsSource.Open path
    let model = new HierarchicalAutoencoder(spec)
    source.Fill model
    model

let private refusal act =
    try
        act ()
        ""
    with :? WeightsException as error ->
        error.Message

[<Tests>]
let tests =
    testList "Published.WeightsSource" [
        for kind in [ "depthwise"; "vector" ] do
            for names in [ WeightNames.Ours; WeightNames.Reference ] do
                test $"{kind}: what is exported under names {names} comes back, with its spec and steps" {
                    use _ = torch.NewDisposeScope()
                    use model = new HierarchicalAutoencoder(spec kind)

                    withFile (fun path ->
                        WeightsExport.Write(path, model, names, 12L)
                        use source = WeightsSource.Open path
                        let found = nonNull source.Spec
                        Expect.equal (SpecJson.Write found) (SpecJson.Write model.Spec) "spec"
                        Expect.equal source.Steps 12L "steps"
                        use back = filled path found
                        expectSame model back)
                }

        test "what is imported is exported again, tensor by tensor" {
            use _ = torch.NewDisposeScope()
            let path = fixture [ "pytorch"; "published-checkpoint.pt" ]
            use published = PublishedCheckpoint.Open path
            use model = filled path (nonNull published.Spec)

            withFile (fun exported ->
                WeightsExport.Write(exported, model, WeightNames.Reference, published.Iterations)
                use file = SafeTensorsFile.Open exported
                let original = published.ReadStored()
                Expect.equal (set [ for entry in file.Entries -> entry.Name ]) (set original.Keys) "names"

                for KeyValue(name, tensor) in original do
                    Expect.equal (bytes (file.Read name)) (bytes tensor) name)
        }

        test "bare weights under our names, and a checkpoint of ours with its optimizer's tensors" {
            use _ = torch.NewDisposeScope()
            use model = new HierarchicalAutoencoder(spec "depthwise")
            use optimizer = new AdamOptimizer(model.named_parameters ())

            withFile (fun path ->
                SafeTensorsFile.Write(path, model.state_dict ())

                (use source = WeightsSource.Open path
                 Expect.isNull source.Spec "it does not say")

                use bare = filled path model.Spec
                expectSame model bare
                Checkpoint.Write(path, model, optimizer, TrainingProgress(0L, 3L, 0L, true, 1.0, 3L))
                use checkpoint = filled path model.Spec
                expectSame model checkpoint)
        }

        test "the optimizer's state goes with a published checkpoint" {
            use _ = torch.NewDisposeScope()
            let path = fixture [ "pytorch"; "published-checkpoint.pt" ]
            use source = WeightsSource.Open path
            use model = new HierarchicalAutoencoder(nonNull source.Spec)
            use optimizer = new AdamOptimizer(model.named_parameters ())
            Expect.isTrue (source.Fill(optimizer, model)) "it has one"
            Expect.equal optimizer.Updates 1L "updates"

            let norm (part: string) =
                optimizer.State
                |> Seq.filter _.Key.StartsWith(part)
                |> Seq.sumBy (fun (KeyValue(_, moment)) -> moment.norm().ToDouble())

            Expect.isGreaterThan (norm "first.") (norm "second.") "each to its own"
            Expect.isGreaterThan (norm "second.") 0.0 "both"
        }

        test "weights of another model and files of neither kind are refused by name" {
            use _ = torch.NewDisposeScope()
            use model = new HierarchicalAutoencoder(spec "depthwise")

            withFile (fun path ->
                WeightsExport.Write(path, model, WeightNames.Reference, 0L)
                let message = refusal (fun () -> (filled path (spec "vector")).Dispose())
                Expect.stringStarts message path "names the file"
                Expect.stringContains message "missing" "and what is missing"
                let skip = AutoencoderSpec(Wiring = "skip")

                Expect.stringContains
                    (refusal (fun () -> (filled path skip).Dispose()))
                    "'skip'"
                    "no such wiring there"

                SafeTensorsFile.Write(path, [ KeyValuePair("a", torch.zeros 1L) ], Dictionary(dict [ "spec", "{" ]))

                Expect.stringStarts
                    (refusal (fun () -> (WeightsSource.Open path).Dispose()))
                    $"{path}: spec"
                    "a damaged spec"

                System.IO.File.WriteAllText(path, "neither")
                Expect.stringStarts (refusal (fun () -> (WeightsSource.Open path).Dispose())) path "neither")
        }

        test "reference names are refused to what the published implementation does not have" {
            use model =
                new HierarchicalAutoencoder(AutoencoderSpec(Channels = 4, CodeCounts = [| 4; 4 |], Wiring = "skip"))

            withFile (fun path ->
                Expect.throwsC (fun () -> WeightsExport.Write(path, model, WeightNames.Reference, 0L)) (fun error ->
                    Expect.stringContains error.Message "'skip'" "why")

                Expect.isFalse (System.IO.File.Exists path) "nothing is written")
        }
    ]
