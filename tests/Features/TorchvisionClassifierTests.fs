module DQ.Tests.Features.TorchvisionClassifierTests

open System
open System.Collections.Generic
open System.IO
open System.Threading.Tasks
open Expecto
open TorchSharp
open DQ.Core.Features
open DQ.Core.Formats
open DQ.Tests.Fixtures

/// Numbers in [-scale, scale) from their place, as in Fixtures/torchvision/make.py.
let private filled (count: int) (layer: int) (scale: float) (shift: float32) =
    let values = Array.zeroCreate<float32> count
    let chunk = 1 <<< 20

    Parallel.For(
        0,
        (count + chunk - 1) / chunk,
        fun part ->
            for place in part * chunk .. min count ((part + 1) * chunk) - 1 do
                let mixed = (uint64 place * 2654435761UL + uint64 layer * 40503UL) % 65521UL
                let mixed = mixed * mixed % 65521UL
                values[place] <- float32 ((float mixed / 65521.0 * 2.0 - 1.0) * scale) + shift
    )
    |> ignore

    values

/// torchvision's tensors in its order: name and sizes.
let private convolution name output input side bias = [
    $"{name}.weight", [ output; input; side; side ]
    if bias then
        $"{name}.bias", [ output ]
]

let private linear name output input = [ $"{name}.weight", [ output; input ]; $"{name}.bias", [ output ] ]

let private norm name channels = [
    for part in [ "weight"; "bias"; "running_mean"; "running_var" ] -> $"{name}.{part}", [ channels ]
]

let private alexnet = [
    yield! convolution "features.0" 64 3 11 true
    yield! convolution "features.3" 192 64 5 true
    yield! convolution "features.6" 384 192 3 true
    yield! convolution "features.8" 256 384 3 true
    yield! convolution "features.10" 256 256 3 true
    yield! linear "classifier.1" 4096 9216
    yield! linear "classifier.4" 4096 4096
    yield! linear "classifier.6" 1000 4096
]

let private vgg16 = [
    for index, output, input in
        [
            0, 64, 3
            2, 64, 64
            5, 128, 64
            7, 128, 128
            10, 256, 128
            12, 256, 256
            14, 256, 256
            17, 512, 256
            19, 512, 512
            21, 512, 512
            24, 512, 512
            26, 512, 512
            28, 512, 512
        ] do
        yield! convolution $"features.{index}" output input 3 true
    yield! linear "classifier.0" 4096 25088
    yield! linear "classifier.3" 4096 4096
    yield! linear "classifier.6" 1000 4096
]

let private resnet18 = [
    yield! convolution "conv1" 64 3 7 false
    yield! norm "bn1" 64
    for stage, input, channels in [ 1, 64, 64; 2, 64, 128; 3, 128, 256; 4, 256, 512 ] do
        for block in 0..1 do
            let name = $"layer{stage}.{block}"
            let input = if block = 0 then input else channels
            yield! convolution $"{name}.conv1" channels input 3 false
            yield! norm $"{name}.bn1" channels
            yield! convolution $"{name}.conv2" channels channels 3 false
            yield! norm $"{name}.bn2" channels

            if input <> channels then
                yield! convolution $"{name}.downsample.0" channels input 1 false
                yield! norm $"{name}.downsample.1" channels
    yield! linear "fc" 1000 512
]

let private write (path: string) (tensors: (string * int list) list) =
    let arrays = Dictionary<string, Array>()

    for layer, (name, sizes) in List.indexed tensors do
        let count = List.fold (*) 1 sizes

        let values =
            match sizes with
            | _ :: (_ :: _ as fan) -> filled count layer (Math.Sqrt(6.0 / float (List.fold (*) 1 fan))) 0.0f
            | _ when name.EndsWith "running_var" || (name.EndsWith "weight" && List.length sizes = 1) ->
                filled count layer 0.1 1.0f
            | _ -> filled count layer 0.1 0.0f

        let shaped = Array.CreateInstance(typeof<float32>, List.toArray sizes)
        Buffer.BlockCopy(values, 0, shaped, 0, 4 * count)
        arrays[name] <- shaped

    SafeTensorsFile.WriteArrays(path, arrays)

let private image =
    let side = TorchvisionClassifier.Size

    lazy
        (torch
            .tensor(
                [|
                    for channel in 0..2 do
                        for row in 0 .. side - 1 do
                            for column in 0 .. side - 1 ->
                                byte ((37 * channel + 11 * row + 5 * column + row * column) % 256)
                |],
                torch.uint8
            )
            .reshape(1L, 3L, int64 side, int64 side))

/// The largest difference, relative to the largest expected number.
let private apart (one: torch.Tensor) (expected: torch.Tensor) =
    ((one - expected).abs().max() / expected.abs().max()).ToSingle()

let private parity name tensors layers =
    test $"{name}'s logits are torchvision's, for the same weights, wherever it is cut" {
        withFile (fun path ->
            write path tensors
            use network = TorchvisionClassifier.Load(name, path, torch.CPU)
            use recorded = SafeTensorsFile.Open(fixture [ "torchvision"; "logits.safetensors" ])
            use expected = recorded.Read name

            for layer in layers do
                let index = network.IndexOf layer
                Expect.isGreaterThanOrEqual index 0 layer
                use features = network.Front(image.Value, index)
                use before = features.clone ()
                use logits = network.Back(features, index)
                Expect.isLessThan (apart logits expected) 1e-5f layer
                Expect.isTrue (features.Equals before) $"{layer}: features stay as they are")
    }

[<Tests>]
let tests =
    testList "Features.TorchvisionClassifier" [
        parity "alexnet" alexnet [ "features.0"; "features.12"; "classifier.4" ]
        parity "resnet18" resnet18 [ "bn1"; "layer2.1"; "layer4.1" ]
        parity "vgg16" vgg16 [ "features.28" ]

        test "the file says how many classes there are; another network is refused with what differs" {
            withFile (fun path ->
                let three = [
                    for name, sizes in resnet18 -> name, (if name.StartsWith "fc" then 3 :: List.tail sizes else sizes)
                ]

                write path three
                use network = TorchvisionClassifier.Load("resnet18", path, torch.CPU)
                use features = torch.rand (2L, 512L, 7L, 7L)
                Expect.sequenceEqual (network.Back(features, network.IndexOf "layer4.1")).shape [| 2L; 3L |] "classes"

                let refused name =
                    Expect.throwsC (fun () -> (TorchvisionClassifier.Load(name, path, torch.CPU)).Dispose()) _.Message

                Expect.stringContains (refused "alexnet") "expected torchvision's AlexNet" "no last layer"
                write path (three |> List.filter (fun (name, _) -> name <> "layer1.0.bn1.running_var"))

                Expect.stringContains
                    (refused "resnet18")
                    $"{path}: expected torchvision's ResNet-18: layer1.0.bn1.running_var (64) is missing"
                    "a tensor too few")
        }
    ]
