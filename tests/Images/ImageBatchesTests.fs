module DQ.Tests.Images.ImageBatchesTests

open System
open System.IO
open Expecto
open DQ.Core.Images
open DQ.Tests.TemporaryFolder

/// Images of 1×4×4 whose every byte is the image's index, but for a mark in the first pixel that shows shifts and flips.
let private withImages count (run: PackedImages -> unit) =
    inFolder (fun folder ->
        let file = Path.Combine(folder, "train.u8")

        File.WriteAllBytes(
            file,
            [|
                for image in 0 .. count - 1 do
                    for pixel in 0..15 -> if pixel = 5 then 255uy else byte image
            |]
        )

        use images = PackedImages.Open(file, count, 1, 4, 4)
        run images)

let private take (batches: ImageBatches) count = [
    for _ in 1..count do
        use batch = batches.Next()
        batch.Pixels.bytes.ToArray()
]

let private indices batch =
    batch |> Array.chunkBySize 16 |> Array.map (fun image -> int image[15])

let private augmented = Augmentation(Flip = true, Shift = 2)

[<Tests>]
let tests =
    testList "Images.ImageBatches" [
        test "an epoch has every image once, but for what does not fill a batch" {
            withImages 11 (fun images ->
                use batches = new ImageBatches(images, 3, 4L, Augmentation.None, 0L)
                Expect.equal batches.StepsPerEpoch 3L "steps"

                let epochs =
                    take batches 6
                    |> List.map indices
                    |> List.chunkBySize 3
                    |> List.map Array.concat

                for epoch in epochs do
                    Expect.hasLength (Array.distinct epoch) 9 "distinct images"

                Expect.notEqual epochs[0] epochs[1] "another order each epoch")
        }

        test "the batch of a step depends on seed and step only" {
            withImages 20 (fun images ->
                use whole = new ImageBatches(images, 4, 9L, augmented, 0L)
                let expected = take whole 17

                for first in [ 1L; 5L; 7L; 12L ] do
                    use resumed = new ImageBatches(images, 4, 9L, augmented, first)
                    Expect.equal (take resumed (17 - int first)) (List.skip (int first) expected) $"from step {first}"

                use other = new ImageBatches(images, 4, 10L, augmented, 0L)
                Expect.notEqual (take other 17) expected "another seed")
        }

        test "augmentation differs from step to step" {
            withImages 4 (fun images ->
                use batches = new ImageBatches(images, 4, 0L, augmented, 0L)

                let bySource =
                    take batches 30
                    |> List.collect (fun batch -> Array.chunkBySize 16 batch |> List.ofArray)

                let variants =
                    bySource |> List.filter (fun image -> Array.contains 2uy image) |> List.distinct

                Expect.isGreaterThan variants.Length 10 "variants of image 2")
        }

        test "a batch larger than the data set is refused" {
            withImages 3 (fun images ->
                Expect.throwsC
                    (fun () -> (new ImageBatches(images, 4, 0L, Augmentation.None, 0L)).Dispose())
                    (fun problem ->
                        Expect.isTrue (problem :? ArgumentException) "type"
                        Expect.stringContains problem.Message "at most the 3 images there are, got 4" "message"))
        }

        test "closing the images under it is an error, not a crash" {
            withImages 8 (fun images ->
                use batches = new ImageBatches(images, 2, 0L, Augmentation.None, 0L)
                images.Dispose()
                Expect.throwsT<ObjectDisposedException> (fun () -> take batches 100 |> ignore) "next")
        }

        testSequenced
        <| test "a batch costs little managed memory" {
            withImages 200 (fun images ->
                use batches = new ImageBatches(images, 50, 0L, augmented, 0L)
                take batches 20 |> ignore
                let before = GC.GetTotalAllocatedBytes true

                for _ in 1..200 do
                    use batch = batches.Next()
                    ignore batch

                let each = (GC.GetTotalAllocatedBytes true - before) / 200L
                Expect.isLessThan each 65_536L "bytes per batch")
        }
    ]
