module DQ.Tests.Data.SplitsTests

open Expecto
open DQ.Pipeline.Data

[<Tests>]
let tests =
    testList "Data.Splits" [
        test "an amount is a share or a number" {
            Expect.equal (Splits.amount 0.1 50_000) 5000 "a share"
            Expect.equal (Splits.amount 0.1 16) 2 "rounded up"
            Expect.equal (Splits.amount 0.1 14) 1 "rounded down"
            Expect.equal (Splits.amount 0.0 50_000) 0 "none"
            Expect.equal (Splits.amount 100.0 50_000) 100 "a number"
        }

        testProperty "a cut shares out every image once, in order"
        <| fun (seed: int64) (train: byte) (validation: byte) (test: byte) ->
            let count = int train + int validation + int test + 1

            match Splits.cut seed count (int validation) (int test) with
            | Error _ -> false
            | Ok cut ->
                cut.Validation.Length = int validation
                && cut.Test.Length = int test
                && Array.sort (Array.concat [ cut.Train; cut.Validation; cut.Test ]) = [| 0 .. count - 1 |]
                && List.forall (fun part -> Array.sort part = part) [ cut.Train; cut.Validation; cut.Test ]

        test "the seed decides, and the first are not favoured" {
            let cut seed =
                Splits.cut seed 1000 100 0 |> Result.map _.Validation

            Expect.equal (cut 1L) (cut 1L) "again"
            Expect.notEqual (cut 1L) (cut 2L) "another seed"

            match cut 1L with
            | Ok validation -> Expect.isTrue (abs (Array.averageBy float validation - 500.0) < 100.0) "spread over all"
            | Error problem -> failwith problem
        }

        test "a cut that leaves nothing to train on is refused" {
            Expect.equal
                (Splits.cut 0L 10 5 5)
                (Error "expected more than the 5 + 5 images cut for validation and test, got 10 in all")
                "message"
        }
    ]
