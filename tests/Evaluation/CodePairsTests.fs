module DQ.Tests.Evaluation.CodePairsTests

open System
open Expecto
open TorchSharp
open DQ.Core
open DQ.Core.Evaluation

/// Codes (B, M, H, W) from a function of image, codebook, row and column.
let codes (batch: int64) books height width (code: int -> int -> int -> int -> int) =
    let values = [|
        for image in 0 .. int batch - 1 do
            for book in 0 .. books - 1 do
                for row in 0 .. height - 1 do
                    for column in 0 .. width - 1 -> int64 (code image book row column)
    |]

    torch.tensor(values).reshape(batch, int64 books, int64 height, int64 width)

let private drawn (seed: int64) (codeCount: int) image book row column =
    SplitMix64(seed, int64 (image * 100 + book), int64 (row * 100 + column)).Next codeCount

let private counted books codeCount (given: torch.Tensor) =
    let pairs = CodePairs.Create(books, codeCount) |> nonNull
    pairs.Add given
    pairs

let private mutual books codeCount given =
    (counted books codeCount given).MutualInformationNats()

/// Of counts, without correction.
let private plugIn (counts: int seq) =
    let total = float (Seq.sum counts)

    -Seq.sum(
        seq {
            for count in counts do
                if count > 0 then
                    float count / total * log (float count / total)
        }
    )

let private corrected (counts: int[]) =
    MillerMadow.EntropyNats(ReadOnlySpan counts)

[<Tests>]
let tests =
    testList "Evaluation.CodePairs" [
        test "Miller and Madow's entropy is the plug-in one plus (cells in use − 1) / 2N" {
            let counts = [| 5; 0; 2; 1; 8; 0 |]
            Expect.floatClose Accuracy.high (corrected counts) (plugIn counts + 3.0 / 32.0) "by hand"
            Expect.equal (corrected [| 0; 7 |]) 0.0 "one code says nothing"
            Expect.equal (corrected [| 0; 0 |]) 0.0 "nothing counted"
        }

        test "of uniform draws it is nearer to the truth than the plug-in estimate" {
            let errors = [
                for seed in 0L .. 19L ->
                    let counts = Array.zeroCreate 64
                    let mutable random = SplitMix64 seed

                    for _ in 1..256 do
                        let code = random.Next 64
                        counts[code] <- counts[code] + 1

                    corrected counts - log 64.0, plugIn counts - log 64.0
            ]

            let corrected, plain =
                errors |> List.averageBy fst |> abs, errors |> List.averageBy snd |> abs

            Expect.isLessThan corrected (plain / 4.0) "a quarter of the bias at most"
        }

        test "independent codebooks share nothing once corrected, which the plug-in estimate would not say" {
            let given = codes 60L 3 4 4 (drawn 1L 16)
            let matrix = mutual 3 16 given
            // about (16 − 1)² / 2N of bias without the correction
            Expect.isGreaterThan (225.0 / (2.0 * 960.0)) 0.1 "the bias there would be"

            for one, other in [ 0, 1; 0, 2; 1, 2 ] do
                Expect.isLessThan (abs matrix[one, other]) 0.025 $"{one}, {other}"

            Expect.isLessThan (abs (Option.get (Option.ofNullable (CodePairs.MeanOfPairs matrix)))) 0.02 "mean"
        }

        test "equal codebooks share all of their entropy, and so do renamed ones" {
            let given =
                codes 20L 3 4 4 (fun image book row column ->
                    let code = drawn 2L 8 image 0 row column
                    if book = 2 then (5 * code + 3) % 8 else code)

            let matrix = mutual 3 8 given
            let entropy = matrix[0, 0]
            Expect.isGreaterThan entropy 2.0 "some entropy"

            for one in 0..2 do
                for other in 0..2 do
                    Expect.floatClose Accuracy.high matrix[one, other] entropy $"{one}, {other}"

                    Expect.floatClose
                        Accuracy.high
                        (CodePairs.Normalized matrix).[one, other]
                        1.0
                        $"share {one}, {other}"
        }

        test "the matrix by hand: two codebooks, four positions" {
            // pairs (0,0) (0,0) (1,1) (1,0): H(X) = ln 2, H(Y) of 3 and 1, H(X,Y) of 2, 1, 1
            let given =
                codes 1L 2 2 2 (fun _ book row column ->
                    if book = 0 then
                        row
                    else
                        (if row = 1 && column = 0 then 1 else 0))

            let correction cells = float (cells - 1) / 8.0
            let x = log 2.0 + correction 2
            let y = plugIn [ 3; 1 ] + correction 2
            let xy = plugIn [ 2; 1; 1 ] + correction 3
            let matrix = mutual 2 2 given
            Expect.floatClose Accuracy.high matrix[0, 0] x "H(X)"
            Expect.floatClose Accuracy.high matrix[1, 1] y "H(Y)"
            Expect.floatClose Accuracy.high matrix[0, 1] (x + y - xy) "I"
            Expect.floatClose Accuracy.high (CodePairs.Normalized matrix).[0, 1] (2.0 * (x + y - xy) / (x + y)) "share"
        }

        test "the estimate for independent codebooks says when there are too few positions" {
            let enough = counted 2 4 (codes 40L 2 4 4 (fun i _ r c -> drawn 6L 4 i 0 r c))
            Expect.isLessThan (abs (enough.IndependentNats().Value)) 0.02 "640 positions for 16 pairs"
            Expect.isGreaterThan (enough.MutualInformationNats().[0, 1]) 1.2 "while these two share everything"
            let few = counted 2 64 (codes 20L 2 4 4 (drawn 7L 64))
            let floor = few.IndependentNats().Value
            Expect.isGreaterThan floor 0.5 "320 positions for 4,096 pairs"
            Expect.isLessThan (abs (few.MutualInformationNats().[0, 1] - floor)) 0.2 "what independent draws got"
            Expect.isFalse ((counted 1 4 (codes 2L 1 2 2 (drawn 8L 4))).IndependentNats().HasValue) "one codebook"
        }

        testProperty "a share lies from 0 to 1, however few the positions"
        <| fun (seed: int64) ->
            let related image book row column =
                if book = 1 && seed % 2L = 0L then
                    drawn seed 4 image 0 row column / 2
                else
                    drawn seed 4 image book row column

            let matrix = mutual 3 4 (codes (1L + abs (seed % 5L)) 3 2 2 related)
            let share = CodePairs.Normalized matrix

            for one in 0..2 do
                for other in 0..2 do
                    Expect.isTrue (share[one, other] >= 0.0 && share[one, other] <= 1.0) $"{share[one, other]}"

        test "where the correction takes more than the counts gave, the share is 0 and the information stays below it" {
            // all 16 pairs once: nothing shared, and 9 / 32 nats too many taken off
            let given =
                codes 1L 2 4 4 (fun _ book row column -> if book = 0 then row else column)

            let matrix = mutual 2 4 given
            Expect.floatClose Accuracy.high matrix[0, 1] (-9.0 / 32.0) "nats"
            Expect.equal (CodePairs.Normalized matrix).[0, 1] 0.0 "share"
        }

        testProperty "symmetric, and the same whatever codes are called and in whatever order images come"
        <| fun (seed: int64) ->
            let related image book row column =
                if book = 1 && (image + row) % 3 = 0 then
                    drawn seed 6 image 0 row column
                else
                    drawn seed 6 image book row column

            let renamed = [| 3; 0; 5; 1; 4; 2 |]
            let plain = mutual 3 6 (codes 9L 3 3 2 related)

            let other =
                mutual
                    3
                    6
                    (codes 9L 3 3 2 (fun image book row column ->
                        let code = related (8 - image) book row column
                        if book = 1 then renamed[code] else code))

            for one in 0..2 do
                for two in 0..2 do
                    Expect.equal plain[one, two] plain[two, one] "symmetric"
                    Expect.floatClose Accuracy.high other[one, two] plain[one, two] "invariant"

        test "batches add up" {
            let parts = CodePairs.Create(2, 5) |> nonNull
            let all = codes 6L 2 3 3 (drawn 4L 5)
            parts.Add(all.narrow (0L, 0L, 2L))
            parts.Add(all.narrow (0L, 2L, 4L))
            Expect.equal (parts.MutualInformationNats()) (mutual 2 5 all) "as in one"
        }

        test "a single codebook has its entropy and no pairs; too many pairs of codes are not counted" {
            let matrix = mutual 1 4 (codes 2L 1 2 2 (drawn 5L 4))
            Expect.equal (matrix.GetLength 0, matrix.GetLength 1) (1, 1) "shape"
            Expect.isFalse (CodePairs.MeanOfPairs matrix).HasValue "no mean of pairs"
            Expect.isNull (CodePairs.Create(2, 65536)) "16 GB of counts"
            Expect.isNotNull (CodePairs.Create(1, 65536)) "but one codebook has no pairs"
        }

        test "where neither codebook says anything, nothing is shared" {
            let matrix = mutual 2 4 (codes 2L 2 2 2 (fun _ book _ _ -> book))
            Expect.equal (CodePairs.Normalized matrix).[0, 1] 0.0 "no share of nothing"
            Expect.equal (CodePairs.Normalized matrix).[0, 0] 1.0 "diagonal"
        }

        test "entropy per position is over images, at each position apart" {
            // left column: always the same; right column: by image
            let given =
                codes 8L 2 2 2 (fun image book _ column -> if column = 0 then book else image % (2 + 2 * book))

            let counts = PositionCounts.Create(2, 2, 2, 4) |> nonNull
            counts.Add(given.narrow (0L, 0L, 3L))
            counts.Add(given.narrow (0L, 3L, 5L))
            let map = counts.EntropyNats()

            for row in 0..1 do
                Expect.equal map[0, row, 0] 0.0 "constant"
                Expect.floatClose Accuracy.high map[0, row, 1] (log 2.0 + 1.0 / 16.0) "two codes"
                Expect.floatClose Accuracy.high map[1, row, 1] (log 4.0 + 3.0 / 16.0) "four codes"

            Expect.isNull (PositionCounts.Create(10, 64, 64, 65536)) "too many to count"
        }
    ]
