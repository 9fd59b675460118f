module DQ.Tests.Images.DeadLeavesTests

open System
open System.Threading.Tasks
open Expecto
open DQ.Core.Images

[<Tests>]
let tests =
    testList "Images.DeadLeaves" [
        test "an image depends on seed, index and side only, not on threads" {
            let alone = [| for index in 0L .. 15L -> DeadLeaves.Generate(3L, index, 24) |]
            let together = Array.zeroCreate 16

            Parallel.For(0, 16, (fun index -> together[index] <- DeadLeaves.Generate(3L, int64 index, 24)))
            |> ignore

            Expect.equal together alone "bytes"
            Expect.hasLength (Array.distinct alone) 16 "all different"
            Expect.notEqual (DeadLeaves.Generate(4L, 0L, 24)) alone[0] "another seed"
        }

        test "images have light, contrast, smooth parts and edges" {
            let side = 32

            let images =
                Array.init 200 (fun index -> DeadLeaves.Generate(0L, int64 index, side))

            let mean = images |> Array.averageBy (Array.averageBy float)
            Expect.isTrue (mean > 90.0 && mean < 150.0) $"mean level {mean}"

            let steps = [|
                for image in images do
                    for pixel in 0 .. image.Length - 2 do
                        if pixel % side < side - 1 then
                            abs (int image[pixel + 1] - int image[pixel])
            |]

            let share predicate =
                float (steps |> Array.filter predicate |> Array.length) / float steps.Length

            Expect.isGreaterThan (share (fun step -> step <= 5)) 0.5 "most neighbours are alike"
            Expect.isGreaterThan (share (fun step -> step > 25)) 0.03 "some are edges"
        }

        test "neighbouring pixels are correlated, and less so with distance" {
            let side = 32

            let greens =
                Array.init 300 (fun index ->
                    (DeadLeaves.Generate(1L, int64 index, side)).AsSpan(side * side, side * side).ToArray())

            let mean = greens |> Array.averageBy (Array.averageBy float)

            let covariance distance =
                [|
                    for image in greens do
                        for y in 0 .. side - 1 do
                            for x in 0 .. side - 1 - distance ->
                                (float image[y * side + x] - mean)
                                * (float image[y * side + x + distance] - mean)
                |]
                |> Array.average

            let correlations = [ for distance in [ 1; 4; 12 ] -> covariance distance / covariance 0 ]
            Expect.isGreaterThan correlations[0] 0.85 "next to each other"
            Expect.equal correlations (List.sortDescending correlations) "falls with distance"
            Expect.isLessThan correlations[2] 0.75 "far apart"
        }
    ]
