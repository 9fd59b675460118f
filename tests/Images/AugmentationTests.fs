module DQ.Tests.Images.AugmentationTests

open System
open Expecto
open DQ.Core
open DQ.Core.Images

let private copies (augmentation: Augmentation) (source: byte[]) height width = [
    for seed in 0L .. 199L do
        let target = Array.zeroCreate source.Length
        augmentation.Copy(ReadOnlySpan source, target.AsSpan(), height, width, SplitMix64 seed)
        target
]

[<Tests>]
let tests =
    testList "Images.Augmentation" [
        test "none copies" {
            let source = Array.init 24 byte
            Expect.allEqual (copies Augmentation.None source 2 4) source "bytes"
        }

        test "a flip mirrors every row of every plane, half the time" {
            let source = [| 1uy; 2uy; 3uy; 4uy; 5uy; 6uy; 7uy; 8uy; 9uy; 10uy; 11uy; 12uy |] // 2 planes of 2×3
            let mirrored = [| 3uy; 2uy; 1uy; 6uy; 5uy; 4uy; 9uy; 8uy; 7uy; 12uy; 11uy; 10uy |]

            let seen =
                copies (Augmentation(Flip = true)) source 2 3 |> List.countBy id |> Map.ofList

            Expect.equal seen.Count 2 "the image and its mirror"
            Expect.isGreaterThan seen[mirrored] 70 "mirrored"
            Expect.isGreaterThan seen[source] 70 "as it is"
        }

        test "shifts move whole planes both ways and repeat edges" {
            let source = [|
                for y in 0..2 do
                    for x in 0..2 -> byte (10 * y + x)
            |]

            let shifted down right = [|
                for y in 0..2 do
                    for x in 0..2 -> byte (10 * Math.Clamp(y - down, 0, 2) + Math.Clamp(x - right, 0, 2))
            |]

            let expected = [
                for down in -1 .. 1 do
                    for right in -1 .. 1 -> shifted down right
            ]

            let seen = copies (Augmentation(Shift = 1)) source 3 3 |> List.distinct
            Expect.containsAll expected seen "only these nine"
            Expect.hasLength seen 9 "each of them"
        }
    ]
