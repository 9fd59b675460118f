module DQ.Tests.Published.ReferenceNamesTests

open System.Collections.Generic
open Expecto
open FsCheck
open FsCheck.FSharp
open DQ.Core.Autoencoders
open DQ.Core.Formats
open DQ.Core.Likelihoods
open DQ.Core.Published
open DQ.Core.Quantization
open TorchSharp

let private spec kind (codes: int list) stride blocks residual books width =
    AutoencoderSpec(
        Channels = 4,
        ResidualBlocks = residual,
        ResidualChannels = 3,
        CoderBlocks = blocks,
        Stride = stride,
        CodeCounts = List.toArray codes,
        Codebooks = books,
        CodeWidth = width,
        Quantizer = QuantizerSpec(Kind = kind),
        Likelihood = LikelihoodSpec(Kind = "squared_error")
    )

let private specs =
    gen {
        let! kind = Gen.elements [ "depthwise"; "vector" ]
        let! levels = Gen.choose (1, 3)
        let! codes = Gen.listOfLength levels (Gen.choose (1, 6))
        let! stride = Gen.elements [ 2; 4 ]
        let! blocks = Gen.choose (1, 3)
        let! residual = Gen.choose (0, 2)
        let! books = Gen.choose (1, 3)
        let! width = Gen.choose (1, 4)
        return spec kind codes stride blocks residual books width
    }

let private values (tensors: seq<KeyValuePair<string, torch.Tensor>>) =
    tensors |> Seq.map (|KeyValue|) |> Map.ofSeq

let private same (left: Map<string, torch.Tensor>) (right: Map<string, torch.Tensor>) =
    left.Keys |> Seq.toList = (right.Keys |> Seq.toList)
    && left
       |> Map.forall (fun name tensor -> tensor.shape = right[name].shape && tensor.Equals(right[name]))

let private refused (names: ReferenceNames) tensors =
    try
        names.FromReference(tensors, "weights.pt") |> ignore
        ""
    with :? WeightsException as error ->
        error.Message

[<Tests>]
let tests =
    testList "Published.ReferenceNames" [
        testPropertyWithConfig
            {
                FsCheckConfig.defaultConfig with
                    maxTest = 25
            }
            "there and back is the identity"
        <| Prop.forAll (Arb.fromGen specs) (fun spec ->
            use _ = torch.NewDisposeScope()
            use model = new HierarchicalAutoencoder(spec)
            let names = ReferenceNames model
            let state = values (model.state_dict ())
            let reference = names.ToReference(Dictionary state)
            let back = names.FromReference(Dictionary reference, "there")

            same state (values back)
            && Seq.forall2
                (fun (entry: ReferenceEntry) (KeyValue(name, tensor: torch.Tensor)) ->
                    entry.Name = name && entry.Shape = tensor.shape && tensor.is_contiguous ())
                names.Entries
                reference)

        test "depthwise projections are cut by codebook, codes transposed" {
            use _ = torch.NewDisposeScope()
            use model = new HierarchicalAutoencoder(spec "depthwise" [ 5; 6 ] 2 1 0 2 3)
            let state = model.state_dict ()
            let reference = values (ReferenceNames(model).ToReference state)

            let equal (left: torch.Tensor) (right: torch.Tensor) =
                Expect.isTrue (left.Equals(right)) "values"

            equal reference["quantize_convs.1.1.weight"] (state["projections.1.weight"].slice(0L, 3L, 6L, 1L))
            equal reference["quantize_convs.0.0.bias"] (state["projections.0.bias"].slice(0L, 0L, 3L, 1L))
            equal reference["quantizers.1.0.embed"] (state["quantizers.1.codes"].select(0L, 0L).t())
            equal reference["quantizers.1.1.cluster_size"] (state["quantizers.1.counts"].select(0L, 1L))
            equal reference["quantizers.0.1.embed_avg"] (state["quantizers.0.sums"].select(0L, 1L).t())
        }

        test "what is stored in another precision comes back as float32" {
            use _ = torch.NewDisposeScope()
            use model = new HierarchicalAutoencoder(spec "vector" [ 5 ] 2 1 0 2 3)
            let names = ReferenceNames model

            let halves =
                names.ToReference(model.state_dict ())
                |> values
                |> Map.map (fun _ tensor -> tensor.bfloat16 ())

            for KeyValue(name, tensor) in names.FromReference(Dictionary halves, "there") do
                Expect.equal tensor.dtype torch.float32 name
        }

        test "everything wrong is said at once" {
            use _ = torch.NewDisposeScope()
            use model = new HierarchicalAutoencoder(spec "depthwise" [ 5 ] 2 1 1 2 3)
            let names = ReferenceNames model
            let tensors = names.ToReference(model.state_dict ()) |> Dictionary
            tensors.Remove "decoder.2.bias" |> ignore
            tensors.Remove "quantize_convs.0.1.weight" |> ignore
            tensors["decoder.2.weight"] <- torch.zeros (3L, 1L)
            tensors["fc.weight"] <- torch.zeros 1L
            let message = refused names tensors
            Expect.stringStarts message "weights.pt: " "names the file"
            Expect.stringContains message "2 missing: decoder.2.bias, quantize_convs.0.1.weight" "missing"
            Expect.stringContains message "1 unknown: 'fc.weight'" "unknown"

            Expect.stringContains
                message
                "1 of another shape: decoder.2.weight expected (3, 4, 3, 3), found (3, 1)"
                "another shape"

            let state = model.state_dict ()
            state.Remove "projections.0.bias" |> ignore

            Expect.throwsC (fun () -> names.ToReference state |> ignore) (fun error ->
                Expect.stringContains error.Message "projections.0.bias" "the other way too")
        }

        test "many wrong names are counted, not all listed" {
            use _ = torch.NewDisposeScope()
            use model = new HierarchicalAutoencoder(spec "depthwise" [ 5 ] 2 1 1 2 3)
            let message = refused (ReferenceNames model) (Dictionary())
            Expect.isMatch message @"^weights.pt: .*: \d\d missing: ([a-z_0-9.]+, ){5}…$" "five and an ellipsis"
        }

        test "gradients have the trained names only" {
            use _ = torch.NewDisposeScope()
            use model = new HierarchicalAutoencoder(spec "depthwise" [ 5 ] 2 1 0 2 3)
            let names = ReferenceNames model

            let gradients =
                names.Entries
                |> Seq.filter _.Trained
                |> Seq.map (fun entry -> KeyValuePair(entry.Name, torch.ones entry.Shape))
                |> Dictionary

            let ours = names.FromReference(gradients, "there", trainedOnly = true)

            Expect.equal
                (set ours.Keys)
                (model.named_parameters () |> Seq.map (fun struct (name, _) -> name) |> set)
                "names"
        }
    ]
