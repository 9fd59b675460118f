/// Pixels from NumPy's files.
module DQ.Tests.Data.NumpyTests

open System
open System.IO
open System.IO.Compression
open System.Text
open Expecto
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.TemporaryFolder

/// A `.npy` file of version 1.
let private npy (kind: string) (shape: int list) (content: byte[]) =
    let sides = shape |> List.map string |> String.concat ", "
    let sides = if shape.Length = 1 then sides + "," else sides
    let text = $"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sides}), }}"
    let padded = text.PadRight(64 * ((10 + text.Length + 1 + 63) / 64) - 10 - 1) + "\n"

    [|
        yield! [| 0x93uy; byte 'N'; byte 'U'; byte 'M'; byte 'P'; byte 'Y'; 1uy; 0uy |]
        yield! BitConverter.GetBytes(uint16 padded.Length)
        yield! Encoding.ASCII.GetBytes padded
        yield! content
    |]

let private bytes count =
    Array.init count (fun place -> byte (7 * place))

let private int64s (labels: int64 list) =
    labels |> List.map BitConverter.GetBytes |> Array.concat

let private npz (file: string) compression (arrays: (string * byte[]) list) =
    use zip = ZipFile.Open(file, ZipArchiveMode.Create)

    for name, content in arrays do
        use entry = zip.CreateEntry(name + ".npy", compression).Open()
        entry.Write content

let private opened path look = looked look (Numpy.open' path)

[<Tests>]
let tests =
    testList "Data.Numpy" [
        test "an archive as MedMNIST writes it, compressed or not: splits, labels, channels last" {
            for compression in [ CompressionLevel.NoCompression; CompressionLevel.Optimal ] do
                inFolder (fun folder ->
                    let file = Path.Combine(folder, "set.npz")

                    npz file compression [
                        "train_images", npy "|u1" [ 4; 5; 6; 3 ] (bytes 360)
                        "train_labels", npy "<i8" [ 4; 1 ] (int64s [ 0L; 2L; 1L; 2L ])
                        "val_images", npy "|u1" [ 2; 5; 6; 3 ] (bytes 180)
                        "val_labels", npy "|u1" [ 2 ] [| 1uy; 0uy |]
                        "test_images", npy "|u1" [ 1; 5; 6; 3 ] (bytes 90)
                        "test_labels", npy ">i4" [ 1 ] [| 0uy; 0uy; 0uy; 2uy |]
                    ]

                    opened file (fun source ->
                        Expect.equal source.Shape (Some(3, 5, 6)) "channels, height, width"
                        Expect.equal source.ClassNames [ "0"; "1"; "2" ] "classes"
                        Expect.equal source.Train.Labels (Some [| 0; 2; 1; 2 |]) "labels"
                        Expect.equal source.Validation.Value.Labels (Some [| 1; 0 |]) "of bytes"
                        Expect.equal source.Test.Value.Labels (Some [| 2 |]) "big-endian"
                        let image = source.Train.Read 3

                        let place channel row column =
                            byte (7 * (3 * 90 + (row * 6 + column) * 3 + channel))

                        for channel in 0..2 do
                            Expect.equal
                                (image.Plane(channel).ToArray())
                                [|
                                    for row in 0..4 do
                                        for column in 0..5 -> place channel row column
                                |]
                                $"channel {channel}"))
        }

        test "Keras's names, gray images; channels first; one array of any name; a folder of arrays" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "mnist.npz")

                npz file CompressionLevel.Optimal [
                    "x_test", npy "|u1" [ 2; 3; 3 ] (bytes 18)
                    "y_test", npy "|u1" [ 2 ] [| 1uy; 0uy |]
                    "x_train", npy "|u1" [ 3; 3; 3 ] (bytes 27)
                    "y_train", npy "|u1" [ 3 ] [| 0uy; 1uy; 1uy |]
                ]

                opened file (fun source ->
                    Expect.equal (source.Shape, source.Train.Count) (Some(1, 3, 3), 3) "gray"
                    Expect.isTrue source.Validation.IsNone "none of its own"
                    Expect.equal ((source.Test.Value.Read 1).Bytes) (Array.skip 9 (bytes 18)) "the second test image")

                let single = Path.Combine(folder, "anything.npy")
                File.WriteAllBytes(single, npy "|u1" [ 2; 3; 4; 5 ] (bytes 120))

                opened single (fun source ->
                    Expect.equal source.Shape (Some(3, 4, 5)) "channels first"
                    Expect.equal source.Train.Labels None "no labels"
                    Expect.equal ((source.Train.Read 1).Bytes) (Array.skip 60 (bytes 120)) "as it is")

                let arrays = Path.Combine(folder, "arrays")

                writeTree arrays [
                    "images.npy", npy "|u1" [ 2; 3; 3 ] (bytes 18)
                    "labels.npy", npy "|i1" [ 2 ] [| 1uy; 0uy |]
                ]

                opened arrays (fun source -> Expect.equal source.Train.Labels (Some [| 1; 0 |]) "labels beside"))
        }

        test "what can't be read is said with the file and the array" {
            inFolder (fun folder ->
                for index, (arrays, expected) in
                    List.indexed [
                        [ "a", npy "|u1" [ 1; 2; 2 ] (bytes 4); "b", npy "|u1" [ 1; 2; 2 ] (bytes 4) ], "found a, b"
                        [ "images", npy "<f4" [ 1; 2; 2 ] (bytes 16) ], "images.npy: expected images of bytes"
                        [ "images", npy "|u1" [ 1; 2; 2; 4 ] (bytes 16) ], "with 1 or 3 channels"
                        [ "images", npy "|u1" [ 3; 2; 2 ] (bytes 11) ], "as many bytes as its shape says"
                        [
                            "images", npy "|u1" [ 1; 2; 2 ] (bytes 4)
                            "labels", npy "|u1" [ 2 ] (bytes 2)
                        ],
                        "a label for each"
                        [
                            "images", npy "|u1" [ 1; 2; 2 ] (bytes 4)
                            "labels", npy "|i1" [ 1 ] [| 255uy |]
                        ],
                        "found -1"
                        [
                            "images", npy "|u1" [ 1; 2; 2 ] (bytes 4)
                            "labels", npy "<f4" [ 1 ] (bytes 4)
                        ],
                        "whole numbers"
                        [
                            "x_train", npy "|u1" [ 1; 2; 2 ] (bytes 4)
                            "x_test", npy "|u1" [ 1; 2; 3 ] (bytes 6)
                        ],
                        "images of one shape"
                    ] do
                    let file = Path.Combine(folder, $"{index}.npz")
                    npz file CompressionLevel.Optimal arrays

                    match Numpy.open' file with
                    | Error(Data message) ->
                        Expect.stringContains message file "the file"
                        Expect.stringContains message expected "the expectation"
                    | other -> failtestf "%s: %A" expected other

                match Numpy.open' folder with
                | Error(Data message) -> Expect.stringContains message "is in" "two arrays of one name"
                | other -> failtestf "%A" other)
        }
    ]
