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

let private weights name = fixture [ "weights"; name ]

/// The model of tests/Fixtures/weights.
let private plain =
    AutoencoderSpec(
        Channels = 8,
        ResidualChannels = 8,
        CoderBlocks = 1,
        CodeCounts = [| 8 |],
        Codebooks = 2,
        CodeWidth = 2
    )

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

        for file, key, note in
            [
                "plain.pt", None, ""
                "orig_mod.pt", None, "'_orig_mod.'"
                "st_module.safetensors", None, "'module.'"
                "lightning.ckpt", None, "'model.'"
                "timm_ema.pt", Some "state_dict", ""
            ] do
            test $"{file}: wrappers' prefixes are left out and said, and the values are those of plain.pt" {
                use _ = torch.NewDisposeScope()
                use expected = filled (weights "plain.pt") plain

                use source = WeightsSource.Open(weights file, Option.toObj key)

                use model = new HierarchicalAutoencoder(plain)
                source.Fill model
                expectSame expected model
                Expect.isNull (source.NonFinite()) "finite"

                if note = "" then
                    Expect.isEmpty source.Notes "nothing to say"
                else
                    Expect.stringContains (Seq.exactlyOne source.Notes) $"begin with {note}" "said"
            }

        test "prefixes in any order, beside other tensors, and a key in safetensors" {
            use _ = torch.NewDisposeScope()
            use model = new HierarchicalAutoencoder(plain)

            let named prefix = [
                for KeyValue(name, tensor) in model.state_dict () -> KeyValuePair(prefix + name, tensor)
            ]

            for prefix, others, key in
                [
                    "module._orig_mod.model.", [], None
                    "model.module.", [ "loss.weight" ], None
                    "ema.module.", [ "other.weight"; "module.x" ], Some "ema"
                ] do
                withFile (fun path ->
                    let beside = [ for name in others -> KeyValuePair(name, torch.zeros 1L) ]
                    SafeTensorsFile.Write(path, named prefix @ beside)

                    use source = WeightsSource.Open(path, Option.toObj key)

                    use back = new HierarchicalAutoencoder(plain)
                    source.Fill back
                    expectSame model back)

            withFile (fun path ->
                SafeTensorsFile.Write(path, named "ema.")

                Expect.stringContains
                    (refusal (fun () -> (WeightsSource.Open(path, "none")).Dispose()))
                    "expected tensors whose names begin with 'none.', found 'ema'"
                    "another key")
        }

        test "of several sets of weights a key chooses, and without one they are named" {
            let path = weights "timm_ema.pt"

            Expect.stringContains
                (refusal (fun () -> (WeightsSource.Open path).Dispose()))
                "found 2: 'state_dict', 'state_dict_ema'; --key chooses one"
                "no key"

            Expect.stringContains
                (refusal (fun () -> (WeightsSource.Open(path, "other")).Dispose()))
                "under 'other', found 'state_dict', 'state_dict_ema'"
                "another key"

            use ema = WeightsSource.Open(path, "state_dict_ema")
            Expect.equal ema.Key "state_dict_ema" "the one asked for"
        }

        test "weights that are not finite are named" {
            use source = WeightsSource.Open(weights "nan.pt")
            Expect.stringContains (nonNull (source.NonFinite())) "are not finite" "said"
            use model = new HierarchicalAutoencoder(plain)
            source.Fill model

            withFile (fun path ->
                Checkpoint.Write(path, model, null, TrainingProgress(0L, 0L, 0L, true, 1.0, 0L))
                use checkpoint = Checkpoint.Open path

                Expect.stringContains
                    (refusal (fun () -> checkpoint.Model().Dispose()))
                    "no number of this model would mean anything"
                    "no model to evaluate"

                use stored = checkpoint.StoredModel()
                Expect.equal stored.Spec.Channels 8 "but one to write elsewhere")
        }

        test "what is no weights is called by what it is" {
            for content, said in
                [
                    ""B, "found an empty file"
                    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"B,
                    "found a pointer of Git LFS"
                    "<html>\n<body>404</body></html>"B, "found a web page"
                    "{\"error\": \"not found\"}"B, "found JSON"
                    Array.append [| 0x89uy |] "HDF\r\n\026\n00000"B, "found an HDF5 file"
                    "PK\003\004 torn"B, "zip"
                ] do
                withFile (fun path ->
                    System.IO.File.WriteAllBytes(path, content)
                    let message = refusal (fun () -> (WeightsSource.Open path).Dispose())
                    Expect.stringStarts message path "the file"
                    Expect.stringContains message said "what it is")

            Expect.stringContains
                (refusal (fun () -> (WeightsSource.Open(weights "mixed_int.pt")).Dispose()))
                ", an integer, among"
                "an entry that is no tensor, by name"
        }
    ]
