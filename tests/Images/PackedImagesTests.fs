module DQ.Tests.Images.PackedImagesTests

open System
open System.IO
open Expecto
open DQ.Core.Images
open DQ.Tests.TemporaryFolder
open type TorchSharp.torch

let private pack folder count =
    let file = Path.Combine(folder, "train.u8")
    File.WriteAllBytes(file, Array.init (count * 12) byte)
    file

[<Tests>]
let tests =
    testList "Images.PackedImages" [
        test "an image is its bytes" {
            inFolder (fun folder ->
                use images = PackedImages.Open(pack folder 4, 4, 3, 2, 2)
                Expect.equal (images[2].ToArray()) [| 24uy .. 35uy |] "the third image")
        }

        test "a gathered batch keeps order and shape" {
            inFolder (fun folder ->
                use images = PackedImages.Open(pack folder 4, 4, 3, 2, 2)
                use batch = images.Gather(ReadOnlySpan [| 3; 0 |])
                Expect.equal batch.dtype ScalarType.Byte "type"
                Expect.equal batch.shape [| 2L; 3L; 2L; 2L |] "shape"
                Expect.equal (batch.bytes.ToArray()) [| yield! [ 36uy .. 47uy ]; yield! [ 0uy .. 11uy ] |] "bytes")
        }

        test "sequential batches cover the file once, the last short" {
            inFolder (fun folder ->
                use images = PackedImages.Open(pack folder 5, 5, 3, 2, 2)

                let read limit = [
                    for batch in images.Batches(2, limit) do
                        use batch = batch
                        batch.shape[0], batch.bytes.ToArray()
                ]

                Expect.equal (read 0 |> List.map fst) [ 2L; 2L; 1L ] "all"
                Expect.equal (read 0 |> List.map snd |> Array.concat) (Array.init 60 byte) "bytes in order"
                Expect.equal (read 3 |> List.map fst) [ 2L; 1L ] "limited"
                Expect.equal (read 99 |> List.map fst) [ 2L; 2L; 1L ] "a limit beyond the end")
        }

        test "a split without images opens" {
            inFolder (fun folder ->
                use images = PackedImages.Open(pack folder 0, 0, 3, 2, 2)
                Expect.isEmpty (images.Batches 2) "no batches")
        }

        test "a wrong length names file, expectation and actual" {
            inFolder (fun folder ->
                let file = pack folder 4

                let message =
                    try
                        (PackedImages.Open(file, 5, 3, 2, 2)).Dispose()
                        ""
                    with :? InvalidDataException as problem ->
                        problem.Message

                Expect.equal message $"{file}: expected 60 bytes for 5 images of 3×2×2, got 48" "message")
        }

        test "closed images are refused, not read" {
            inFolder (fun folder ->
                let images = PackedImages.Open(pack folder 4, 4, 3, 2, 2)
                images.Dispose()

                Expect.throwsT<ObjectDisposedException>
                    (fun () -> images.Gather(ReadOnlySpan [| 0 |]).Dispose())
                    "gather"

                Expect.throwsT<ObjectDisposedException> (fun () -> images[0].ToArray() |> ignore) "one image")
        }
    ]
