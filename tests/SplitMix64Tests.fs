module DQ.Tests.SplitMix64Tests

open System
open Expecto
open DQ.Core

[<Tests>]
let tests =
    testList "Images.SplitMix64" [
        test "from state 0 it gives the published generator's numbers" {
            // the one name whose state is 0: the mixer keeps 0, and this seed cancels the constructor's first increment
            let mutable random = SplitMix64(0x61C8864680B583EBL)
            let expected = [ 0xE220A8397B1DCDAFUL; 0x6E789E6AA1B965F4UL; 0x06C45D188009454FUL ]
            Expect.equal [ for _ in 1..3 -> random.Next() ] expected "draws"
        }

        test "a name gives the same stream every time" {
            let mutable a = SplitMix64(1L, 2L, 3L)
            let mutable b = SplitMix64(1L, 2L, 3L)
            Expect.equal [ for _ in 1..5 -> a.Next() ] [ for _ in 1..5 -> b.Next() ] "draws"
        }

        test "neighbouring names give unrelated streams" {
            let first (seed, x, y) =
                let mutable random = SplitMix64(seed, x, y)
                random.Next()

            let names = [
                for seed in -2L .. 2L do
                    for x in 0L .. 9L do
                        for y in 0L .. 9L -> seed, x, y
            ]

            Expect.hasLength (names |> List.map first |> List.distinct) names.Length "all first draws differ"
        }

        test "bounded integers are uniform" {
            let mutable random = SplitMix64 7L
            let counts = Array.zeroCreate 7

            for _ in 1..70_000 do
                let value = random.Next 7
                counts[value] <- counts[value] + 1

            for count in counts do
                Expect.isLessThan (abs (count - 10_000)) 500 "five deviations of a fair die"
        }

        test "normal numbers have mean 0 and deviation 1" {
            let mutable random = SplitMix64 3L
            let values = Array.init 50_000 (fun _ -> random.NextNormal())
            Expect.floatClose { absolute = 0.02; relative = 0.0 } (Array.average values) 0.0 "mean"
            let square = values |> Array.averageBy (fun value -> value * value)
            Expect.floatClose { absolute = 0.03; relative = 0.0 } square 1.0 "variance"
        }

        testProperty "a permutation has every index once"
        <| fun (seed: int64) (length: byte) ->
            let order = Array.zeroCreate (int length)
            let mutable random = SplitMix64 seed
            random.Permute(order.AsSpan())
            Array.sort order = [| 0 .. int length - 1 |]
    ]
