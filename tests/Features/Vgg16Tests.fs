module DQ.Tests.Features.Vgg16Tests

open System
open System.Collections.Generic
open System.IO
open Expecto
open TorchSharp
open DQ.Core.Features
open DQ.Core.Formats
open DQ.Tests.Fixtures

/// Numbers in [-scale, scale) from their place, as in Fixtures/vgg16/make.py.
let private filled (count: int64) (layer: int) (scale: float) =
    Array.init (int count) (fun place ->
        let mixed = (uint64 place * 2654435761UL + uint64 layer * 40503UL) % 65521UL
        let mixed = mixed * mixed % 65521UL
        float32 ((float mixed / 65521.0 * 2.0 - 1.0) * scale))

/// Output channels and index of each convolution in torchvision's `features`.
let private convolutions = [
    0, 64
    2, 64
    5, 128
    7, 128
    10, 256
    12, 256
    14, 256
    17, 512
    19, 512
    21, 512
    24, 512
    26, 512
    28, 512
]

/// A file of all weights, with the classifier's names there; `change` makes another network of it.
let private weights (path: string) (change: Dictionary<string, Array> -> unit) =
    let arrays = Dictionary<string, Array>()

    (3, List.indexed convolutions)
    ||> List.fold (fun input (number, (index, output)) ->
        let fan = input * 9

        let weight = filled (int64 (output * fan)) (2 * number) (Math.Sqrt(6.0 / float fan))

        let shaped = Array.CreateInstance(typeof<float32>, [| output; input; 3; 3 |])
        Buffer.BlockCopy(weight, 0, shaped, 0, 4 * weight.Length)
        arrays[$"features.{index}.weight"] <- shaped
        arrays[$"features.{index}.bias"] <- filled (int64 output) (2 * number + 1) 0.1
        output)
    |> ignore

    arrays["classifier.0.bias"] <- Array.zeroCreate<float32> 4096
    change arrays
    SafeTensorsFile.WriteArrays(path, arrays)

let private image side =
    let values = [|
        for channel in 0..2 do
            for row in 0 .. side - 1 do
                for column in 0 .. side - 1 -> byte ((37 * channel + 11 * row + 5 * column + row * column) % 256)
    |]

    torch.tensor(values, torch.uint8).reshape(1L, 3L, int64 side, int64 side)

let private refusal change =
    let mutable message = ""

    withFile (fun path ->
        weights path change

        try
            (Vgg16.Load(path, 32, torch.CPU)).Dispose()
        with :? WeightsException as error ->
            Expect.stringStarts error.Message path "names the file"
            message <- error.Message)

    message

[<Tests>]
let tests =
    testList "Features.Vgg16" [
        test "its features are torchvision's, for the same weights" {
            withFile (fun path ->
                weights path ignore
                use network = Vgg16.Load(path, 64, torch.CPU)
                use features = network.Extract(image 64)
                use recorded = SafeTensorsFile.Open(fixture [ "vgg16"; "features.safetensors" ])
                use expected = recorded.Read "features"
                Expect.sequenceEqual features.shape [| 1L; 512L; 2L; 2L |] "shape"
                let difference = (features - expected).abs().max().ToSingle()
                Expect.isLessThan difference (1e-4f * expected.abs().max().ToSingle()) "values"

                // other sizes are brought to its own, gray images are all three colours
                use gray = network.Extract(torch.zeros ([| 2L; 1L; 8L; 8L |], torch.uint8))
                use colour = network.Extract(torch.zeros ([| 2L; 3L; 64L; 64L |], torch.uint8))
                Expect.equal ((gray - colour).abs().max().ToSingle()) 0.0f "gray")
        }

        test "another network is refused with what differs" {
            let normalized =
                refusal (fun arrays -> arrays["features.1.running_mean"] <- Array.zeroCreate<float32> 64)

            Expect.stringContains normalized "VGG-16 without batch normalization" "what it should be"
            Expect.stringContains normalized "'features.1.running_mean' is none of its tensors" "batch normalization"

            let shorter = refusal (fun arrays -> arrays.Remove "features.28.weight" |> ignore)
            Expect.stringContains shorter "features.28.weight (512, 512, 3, 3) is missing" "a layer too few"

            let narrower =
                refusal (fun arrays -> arrays["features.0.bias"] <- Array.zeroCreate<float32> 32)

            Expect.stringContains narrower "features.0.bias is (32) instead of (64)" "another width"
        }

        test "sides that its poolings don't divide are refused" {
            Expect.throwsT<ArgumentException> (fun () -> Vgg16.Load("none", 40, torch.CPU) |> ignore) "40"
        }

        test "weights are found by name in the older form of torch.save too" {
            use file = TensorFile.Open(fixture [ "pytorch"; "legacy.pt" ])
            use zipped = TensorFile.Open(fixture [ "pytorch"; "tensors.pt" ])
            Expect.sequenceEqual (Seq.sort file.Shapes.Keys) (Seq.sort zipped.Shapes.Keys) "names"

            for name in file.Shapes.Keys do
                use one = file.Read name
                use other = zipped.Read name
                Expect.isTrue (one.numel () = 0L || one.Equals other) name
        }
    ]
