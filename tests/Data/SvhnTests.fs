/// SVHN's files, and the MAT-files they are, written here as MATLAB writes them.
module DQ.Tests.Data.SvhnTests

open System
open System.IO
open System.IO.Compression
open Expecto
open FsCheck
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.Fixtures
open DQ.Tests.TemporaryFolder

/// An element: tag, data, padding; short ones inside their tag where asked for.
let private element short kind (data: byte[]) = [|
    if short && data.Length <= 4 then
        yield! BitConverter.GetBytes(int16 kind)
        yield! BitConverter.GetBytes(int16 data.Length)
        yield! data
        yield! Array.zeroCreate (4 - data.Length)
    else
        yield! BitConverter.GetBytes(int kind)
        yield! BitConverter.GetBytes data.Length
        yield! data
        yield! Array.zeroCreate ((8 - data.Length % 8) % 8)
|]

/// A numeric array: its class, name, dimensions, stored type and bytes.
let private matrix short arrayClass (name: string) (dimensions: int list) kind data =
    element false 14 [|
        yield! element false 6 [| yield! BitConverter.GetBytes(int arrayClass); yield! Array.zeroCreate 4 |]
        yield! element false 5 (dimensions |> List.toArray |> Array.collect BitConverter.GetBytes)
        yield! element short 1 (Text.Encoding.ASCII.GetBytes name)
        yield! element short kind data
    |]

let private compressed (content: byte[]) =
    use memory = new MemoryStream()

    (use zlib = new ZLibStream(memory, CompressionLevel.Fastest, leaveOpen = true)
     zlib.Write content)

    [|
        yield! BitConverter.GetBytes 15
        yield! BitConverter.GetBytes(int memory.Length)
        yield! memory.ToArray()
    |]

let private file (elements: byte[] list) = [|
    yield! Text.Encoding.ASCII.GetBytes("MATLAB 5.0 MAT-file".PadRight 124)
    yield! [| 0uy; 1uy; byte 'I'; byte 'M' |]
    for element in elements do
        yield! element
|]

/// X of so many images, each byte another; and labels from 1 to 10.
let private digits pack count = [
    pack (matrix true 9 "X" [ 32; 32; 3; count ] 2 (Array.init (3072 * count) (fun place -> byte (place % 251))))
    pack (matrix true 9 "y" [ count; 1 ] 2 (Array.init count (fun image -> byte (1 + image % 10))))
]

let private write folder name elements =
    File.WriteAllBytes(Path.Combine(folder, name), file elements)

let private invalid path names =
    Expect.throwsT<InvalidDataException> (fun () -> MatFile.read path names |> ignore) "refused"

[<Tests>]
let tests =
    testList "Data.Svhn" [
        test "images and labels, compressed or not; ten is zero" {
            for pack in [ id; compressed ] do
                inFolder (fun folder ->
                    write folder "train_32x32.mat" (digits pack 12)
                    write folder "test_32x32.mat" (List.rev (digits pack 3))
                    let source = ok (Svhn.open' folder)
                    Expect.equal (source.Train.Count, source.Test.Value.Count) (12, 3) "counts"
                    Expect.equal source.Train.Labels (Some [| 1; 2; 3; 4; 5; 6; 7; 8; 9; 0; 1; 2 |]) "labels"
                    let image = source.Train.Read 5
                    // channel 2, row 3, column 4 stands at 5·3072 + 2·1024 + 4·32 + 3 in the file
                    Expect.equal
                        image.Bytes[2 * 1024 + 3 * 32 + 4]
                        (byte ((5 * 3072 + 2 * 1024 + 4 * 32 + 3) % 251))
                        "a pixel"

                    Expect.equal source.ClassNames.Length 10 "classes"
                    source.Close())
        }

        test "a MATLAB 7.3 file, and what is no MATLAB file, are called by what they are" {
            for content, said in
                [
                    Array.append "MATLAB 7.3 MAT-file, Platform: GLNXA64"B (Array.zeroCreate 500),
                    "a MATLAB 7.3 (HDF5) file: save it again with -v7"
                    Array.concat [ Array.zeroCreate 125; [| 2uy |]; "IM"B; Array.zeroCreate 400 ],
                    "a MATLAB 7.3 (HDF5) file"
                    Array.concat [ [| 0x89uy |]; "HDF"B; [| 13uy; 10uy; 26uy; 10uy |]; Array.zeroCreate 200 ],
                    "a MATLAB 7.3 (HDF5) file"
                    "<!DOCTYPE html><html></html>"B, "got a web page"
                    [||], "got an empty file"
                ] do
                inFolder (fun folder ->
                    File.WriteAllBytes(Path.Combine(folder, "train_32x32.mat"), content)
                    Expect.stringContains (dataError (Svhn.open' folder)) said "what it is")
        }

        test "labels stored as doubles are read too" {
            inFolder (fun folder ->
                let labels = [| 10.0; 3.0 |] |> Array.collect BitConverter.GetBytes

                for name in [ "train_32x32.mat"; "test_32x32.mat" ] do
                    write folder name [
                        List.head (digits compressed 2)
                        compressed (matrix false 6 "y" [ 2; 1 ] 9 labels)
                    ]

                let source = ok (Svhn.open' folder)
                Expect.equal source.Train.Labels (Some [| 0; 3 |]) "labels")
        }

        test "what is no such data set is refused in one line that names file and expectation" {
            let labels count =
                matrix true 9 "y" [ count; 1 ] 2 (Array.create count 1uy)

            for elements, said in
                [
                    [], "expected a numeric array X, found none"
                    [ matrix true 9 "X" [ 16; 16; 3; 2 ] 2 (Array.zeroCreate 1536); labels 2 ], "dimensions 32×32×3×N"
                    [ List.head (digits id 2); labels 3 ], "y: expected 2 labels, as many as images, got 3"
                    [ List.head (digits id 1); matrix true 9 "y" [ 1; 1 ] 2 [| 11uy |] ],
                    "y: expected labels from 0 to 10, got 11"
                    [ matrix true 9 "X" [ 32; 32; 3; 2 ] 2 (Array.zeroCreate 3072) ], "X: expected 6144 numbers"
                ] do
                inFolder (fun folder ->
                    write folder "train_32x32.mat" elements
                    let message = dataError (Svhn.open' folder)
                    Expect.stringStarts message (Path.Combine(folder, "train_32x32.mat")) "the file"
                    Expect.stringContains message said "what was expected")

            inFolder (fun folder ->
                Expect.stringContains (dataError (Svhn.open' folder)) "found no such file" "nothing there")
        }

        testProperty "an array of any size and type is read as it was written"
        <| fun (values: NonEmptyArray<int16>) (short: bool) (packed: bool) ->
            withFile (fun path ->
                let bytes = values.Get |> Array.collect BitConverter.GetBytes
                let written = matrix short 10 "some" [ values.Get.Length ] 3 bytes
                let other = matrix short 9 "another" [ 1 ] 2 [| 7uy |]
                let pack = if packed then compressed else id
                File.WriteAllBytes(path, file [ pack other; pack written ])

                match MatFile.read path [ "some" ] with
                | [ array ] ->
                    Expect.equal (array.Dimensions, array.Type) ([ values.Get.Length ], 3) "shape and type"
                    Expect.sequenceEqual (MatFile.integers array) (Array.map int values.Get) "values"
                | other -> failtestf "expected one array, got %A" other)

        test "claims beyond what a file has are refused before memory is taken for them" {
            withFile (fun path ->
                let huge = matrix false 9 "X" [ 65536; 32767 ] 2 [| 1uy |]

                for elements in
                    [
                        [ huge ]
                        [ compressed huge ]
                        [
                            [| yield! BitConverter.GetBytes 14; yield! BitConverter.GetBytes 1000; 0uy |]
                        ]
                        [
                            [|
                                yield! BitConverter.GetBytes 15
                                yield! BitConverter.GetBytes 3
                                1uy
                                2uy
                                3uy
                            |]
                        ]
                    ] do
                    File.WriteAllBytes(path, file elements)
                    let before = GC.GetAllocatedBytesForCurrentThread()
                    invalid path [ "X" ]
                    Expect.isLessThan (GC.GetAllocatedBytesForCurrentThread() - before) 10_000_000L "memory"

                File.WriteAllBytes(path, Array.zeroCreate 200)
                invalid path [ "X" ])
        }

        test "damaged files give an array or are refused, nothing else" {
            let content = file (digits compressed 2 @ digits id 1)
            let random = Random 3

            withFile (fun path ->
                for _ in 1..300 do
                    File.WriteAllBytes(path, mutate random content.Length [| 0uy; 255uy; 14uy; 15uy |] content)

                    try
                        MatFile.read path [ "X"; "y" ] |> ignore
                    with :? InvalidDataException ->
                        ())
        }
    ]
