module DQ.Tests.Classification.ClassifierTests

open System
open Expecto
open TorchSharp
open DQ.Core.Autoencoders
open DQ.Core.Classification
open DQ.Core.Formats
open DQ.Core.Quantization
open DQ.Tests.Fixtures

let private autoencoder =
    AutoencoderSpec(
        ImageChannels = 1,
        Channels = 8,
        ResidualChannels = 8,
        CoderBlocks = 1,
        CodeCounts = [| 8; 4 |],
        Codebooks = 2,
        CodeWidth = 4
    )

let private small =
    ClassifierSpec(
        ImageChannels = 1,
        Classes = 3,
        Channels = 16,
        ResidualBlocks = 1,
        ResidualChannels = 4,
        Stride = 2,
        Codebooks = 2,
        CodeCount = 8,
        CodeWidth = 8
    )

let private quantizers = [
    for kind in Quantizers.Names do
        yield kind, QuantizerSpec(Kind = kind)
    yield "depthwise, projected", QuantizerSpec(CodeProjection = Nullable 2)
]

/// One of everything, by name.
let private specs = [
    "nothing quantized", (altered small [ "Quantized", box "none" ])
    for name, quantizer in quantizers do
        for place in [ "pooled"; "grid" ] do
            $"{name}, {place}", (altered small [ "Quantizer", box quantizer; "Quantized", box place ])
    for input in [ ClassifierInput.Codes; ClassifierInput.Autoencoder ] do
        for backbone in [ "none"; "residual_encoder" ] do
            $"{input}, backbone {backbone}",
            (altered small [
                "Input", box input
                "Backbone", box backbone
                "Quantized", box "none"
                "Autoencoder", box autoencoder
            ])
    "resnet18", (altered small [ "Backbone", box "resnet18"; "Codebooks", box 1; "CodeWidth", box 512 ])
]

let private pixels (seed: int) count =
    let random = Random seed

    torch
        .tensor(Array.init (count * 64) (fun _ -> byte (random.Next 256)), torch.uint8)
        .reshape(int64 count, 1L, 8L, 8L)

let private floats (tensor: torch.Tensor) =
    tensor.detach().contiguous().data<float32>().ToArray()

let private problems (spec: ClassifierSpec) = [ for problem in spec.Problems() -> problem.Key ]

[<Tests>]
let tests =
    testSequenced
    <| testList "Classification.Classifier" [
        test "the layers one after the other are the classifier, whatever it is made of" {
            for name, spec in specs do
                torch.manual_seed 1L |> ignore
                use _scope = torch.NewDisposeScope()
                use _gradients = torch.no_grad ()
                use model = new Classifier(spec)
                model.eval ()
                let images = pixels 2 5
                let logits = model.Logits images
                Expect.sequenceEqual logits.shape [ 5L; 3L ] $"{name}: logits"
                let pass = model.Run images
                Expect.sequenceEqual (floats pass.Logits) (floats logits) $"{name}: the same as a pass"
                let names = [ for layer in model.Layers -> layer.Name ]
                Expect.equal (List.distinct names) names $"{name}: layers' names"

                for layer in names do
                    if layer.StartsWith "backbone." then
                        Expect.exists
                            (model.state_dict().Keys)
                            (fun key -> key.StartsWith(layer + "."))
                            $"{name}: {layer} names parameters"
        }

        test "codes are those of the model's quantizers, on their grid, and as many bits as it says" {
            for name, spec in specs do
                torch.manual_seed 1L |> ignore
                use _scope = torch.NewDisposeScope()
                use _gradients = torch.no_grad ()
                use model = new Classifier(spec)
                model.eval ()
                let pass = model.Run(pixels 3 4)
                let grids = List.ofSeq (model.Grids(8, 8))
                Expect.equal pass.Levels.Count model.CodeQuantizers.Count $"{name}: levels"

                for level, quantizer, grid in Seq.zip3 pass.Levels model.CodeQuantizers grids do
                    let books, side, other = int64 grid.Codebooks, int64 grid.Height, int64 grid.Width
                    Expect.sequenceEqual level.Indices.shape [ 4L; books; side; other ] $"{name}: codes"
                    Expect.sequenceEqual (floats (quantizer.Embed level.Indices)) (floats level.Map) $"{name}: embedded"

                match spec.Input, spec.Quantized with
                | "pixels", "pooled" -> Expect.equal (grids[0].Height, grids[0].Width) (1, 1) $"{name}: one position"
                | "pixels", "grid" when spec.Backbone = "residual_encoder" ->
                    Expect.equal (grids[0].Height, grids[0].Width) (4, 4) $"{name}: all positions"
                | "pixels", "none" -> Expect.isEmpty grids name
                | _ -> ()
        }

        test "evaluation has no noise; in training noise is a function of seed and step" {
            for name, spec in specs do
                torch.manual_seed 1L |> ignore
                use _scope = torch.NewDisposeScope()
                use model = new Classifier((altered spec [ "Dropout", box 0.5 ]))
                let images = pixels 4 6

                let at step =
                    floats (model.Run(images, TrainingMoment(7L, step, 10L, 0))).Logits

                model.eval ()
                Expect.sequenceEqual (at 1L) (at 2L) $"{name}: evaluation"

                // batch statistics move with every pass, and the k-means start is left out
                if spec.Backbone <> "resnet18" then
                    model.train ()
                    Expect.sequenceEqual (at 1L) (at 1L) $"{name}: the same step"
                    Expect.notEqual (at 1L) (at 2L) $"{name}: another step"
        }

        test "ResNet-18 has torchvision's parameters, in the 32×32 form" {
            use _scope = torch.NewDisposeScope()

            use model =
                new Classifier(ClassifierSpec(Backbone = "resnet18", Quantized = "none"))

            Expect.equal model.ParameterCount 11_173_962L "parameters"

            let shape name =
                (model.state_dict()["backbone." + name]).shape |> List.ofArray

            for name, expected in
                [
                    "conv1.weight", [ 64L; 3L; 3L; 3L ]
                    "bn1.running_var", [ 64L ]
                    "layer1.0.conv1.weight", [ 64L; 64L; 3L; 3L ]
                    "layer2.0.downsample.0.weight", [ 128L; 64L; 1L; 1L ]
                    "layer2.0.downsample.1.bias", [ 128L ]
                    "layer4.1.bn2.weight", [ 512L ]
                ] do
                Expect.equal (shape name) expected name

            // torchvision's state dict has 122 entries, two of them of its fc
            let entries =
                model.state_dict().Keys |> Seq.filter (fun key -> key.StartsWith "backbone.")

            Expect.hasLength entries 120 "entries"
            let names = model.Layers |> Seq.map _.Name |> List.ofSeq

            Expect.equal
                names
                ([ "normalize"; "backbone.conv1"; "backbone.bn1" ]
                 @ [
                     for stage in 1..4 do
                         for block in 0..1 -> $"backbone.layer{stage}.{block}"
                 ]
                 @ [ "pool"; "head" ])
                "layers"

            model.eval ()
            use image = torch.zeros ([| 1L; 3L; 32L; 32L |], torch.uint8)
            use _gradients = torch.no_grad ()

            let map =
                (image, Seq.truncate 11 model.Layers)
                ||> Seq.fold (fun map layer -> layer.Run.Invoke map)

            Expect.sequenceEqual map.shape [ 1L; 512L; 8L; 8L ] "its last map"
        }

        test "features are quantized as they are where the quantizer takes as many; Gumbel's logits are made of them" {
            let has name (spec: ClassifierSpec) =
                use model = new Classifier(spec)
                model.state_dict().ContainsKey name

            Expect.isFalse (has "projection.weight" small) "2 × 8 of 16"
            Expect.isTrue (has "projection.weight" ((altered small [ "CodeWidth", box 4 ]))) "2 × 4 of 16"

            let gumbel =
                (altered small [ "Quantizer", box (QuantizerSpec(Kind = "gumbel")); "CodeCount", box 8 ])

            Expect.isTrue (has "projection.weight" gumbel) "16 logits of 16 features"
        }

        test "a spec is the same after writing and reading it; one with problems is refused" {
            for name, spec in specs do
                let back = ClassifierSpec.Read(spec.ToJson(), "here")
                Expect.equal (back.ToJson()) (spec.ToJson()) name

            for json, said in
                [
                    "null", "here: expected an object"
                    """{ "classes": 1 }""", "here: classes: expected at least 2, got 1"
                    "{", "here: "
                ] do
                Expect.throwsC (fun () -> ClassifierSpec.Read(json, "here") |> ignore) (fun error ->
                    Expect.isTrue (error :? WeightsException) "kind of error"
                    Expect.stringStarts error.Message said "message")
        }

        test "what can't be built is said by key" {
            for spec, keys in
                [
                    (altered small [ "Backbone", box "vgg" ]), [ "backbone" ]
                    (altered small [ "Backbone", box "none" ]), [ "backbone" ]
                    (altered small [ "Quantized", box "both" ]), [ "quantized" ]
                    (altered small [ "Input", box "codes"; "Quantized", box "none" ]), [ "autoencoder" ]
                    (altered small [ "Input", box "codes"; "Autoencoder", box autoencoder ]), [ "quantized" ]
                    (altered small [ "Dropout", box 1.0; "Channels", box 3 ]), [ "channels"; "dropout" ]
                    (altered small [ "Quantizer", box (QuantizerSpec(Kind = "lookup_free")); "CodeCount", box 9 ]),
                    [ "codes" ]
                    (altered small [ "Quantizer", box (QuantizerSpec(Decay = 2.0)) ]), [ "quantizer.decay" ]
                    (altered small [ "Quantizer", box (QuantizerSpec(Decay = 2.0)); "Quantized", box "none" ]), []
                ] do
                Expect.equal (problems spec) keys $"{spec}"
        }
    ]
