module DQ.Tests.Images.AreaResizeTests

open System
open Expecto
open FsCheck
open FsCheck.FSharp
open DQ.Core
open DQ.Core.Images

let private resize (planes: float32[]) channels height width newHeight newWidth =
    AreaResize.Resize(ReadOnlySpan planes, channels, height, width, newHeight, newWidth)

let private near = { absolute = 1e-3; relative = 1e-5 }

/// Sizes before and after, and a seed for the values.
let private shrinking =
    gen {
        let! height = Gen.choose (1, 20)
        let! width = Gen.choose (1, 20)
        let! newHeight = Gen.choose (1, height)
        let! newWidth = Gen.choose (1, width)
        let! seed = Gen.choose (0, 1000)
        return height, width, newHeight, newWidth, int64 seed
    }
    |> Arb.fromGen

let private values count seed =
    let mutable random = SplitMix64 seed
    Array.init count (fun _ -> float32 (random.Next 256))

[<Tests>]
let tests =
    testList "Images.AreaResize" [
        testCase "shrinking keeps the mean of each plane"
        <| fun () ->
            Prop.forAll shrinking (fun (height, width, newHeight, newWidth, seed) ->
                let planes = values (2 * height * width) seed
                let result = resize planes 2 height width newHeight newWidth

                for channel in 0..1 do
                    let before = planes[channel * height * width .. (channel + 1) * height * width - 1]

                    let after =
                        result[channel * newHeight * newWidth .. (channel + 1) * newHeight * newWidth - 1]

                    Expect.floatClose near (float (Array.average after)) (float (Array.average before)) "mean")
            |> Check.QuickThrowOnFailure

        testCase "a constant image stays so at any size"
        <| fun () ->
            Prop.forAll shrinking (fun (height, width, newHeight, newWidth, seed) ->
                let level = byte (seed % 256L)
                let image = PixelImage(Array.create (3 * height * width) level, 3, height, width)
                Expect.allEqual (AreaResize.Resize(image, newHeight, newWidth)).Bytes level "smaller"
                Expect.allEqual (AreaResize.Resize(image, height + newWidth, width + 3)).Bytes level "larger")
            |> Check.QuickThrowOnFailure

        test "halving takes the mean of four" {
            let result = resize [| 1f; 3f; 10f; 20f; 5f; 7f; 30f; 40f |] 1 2 4 1 2
            Expect.equal result [| 4f; 25f |] "means"
        }

        test "a pixel cut by a boundary counts by its share" {
            let result = resize [| 10f; 20f; 60f |] 1 1 3 1 2
            Expect.floatClose near (float result[0]) ((10.0 + 20.0 / 2.0) / 1.5) "left"
            Expect.floatClose near (float result[1]) ((20.0 / 2.0 + 60.0) / 1.5) "right"
        }

        test "growing interpolates between centres and repeats the edge" {
            let result = resize [| 0f; 10f; 20f |] 1 1 3 1 6
            let expected = [| 0f; 2.5f; 7.5f; 12.5f; 17.5f; 20f |]

            for place in 0..5 do
                Expect.floatClose near (float result[place]) (float expected[place]) $"pixel {place}"
        }

        test "one axis may shrink while the other grows" {
            let result = resize [| 0f; 10f; 20f; 30f |] 1 4 1 2 2
            Expect.equal result [| 5f; 5f; 25f; 25f |] "pairs of rows, columns repeated"
        }

        test "the same size is the same image" {
            let image = PixelImage([| 1uy .. 12uy |], 3, 2, 2)
            Expect.equal (AreaResize.Resize(image, 2, 2)).Bytes image.Bytes "bytes"
        }

        test "the crop is the centre" {
            let wide =
                PixelImage(
                    [|
                        for y in 0..1 do
                            for x in 0..4 -> byte (10 * y + x)
                    |],
                    1,
                    2,
                    5
                )

            Expect.equal (AreaResize.CropToSquare wide).Bytes [| 1uy; 2uy; 11uy; 12uy |] "of a wide image"
            let high = PixelImage([| 0uy .. 3uy |], 1, 4, 1)
            Expect.equal (AreaResize.CropToSquare high).Bytes [| 1uy |] "of a high one"
        }
    ]
