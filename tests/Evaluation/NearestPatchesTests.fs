module DQ.Tests.Evaluation.NearestPatchesTests

open System.Collections.Generic
open System.IO
open Expecto
open TorchSharp
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Evaluation
open DQ.Core.Images
open DQ.Core.Quantization
open DQ.Tests.TemporaryFolder
open DQ.Tests.Evaluation.CodePairsTests

/// A level as quantized, from codes and distances by image, codebook, row and column.
let private level batch books height width code (distance: int -> int -> int -> int -> float) =
    let chosen = codes batch books height width code

    let distances =
        (codes batch books height width (fun i b r c -> int (1000.0 * distance i b r c))).``to``(torch.float32)
        / 1000.0f

    new Quantized(torch.zeros 1L, chosen, torch.zeros 1L, torch.zeros (int64 books), null, distances)

let private found (patches: NearestPatches) book code = [
    for struct (image, cell, distance) in patches.Of(book, code) -> image, cell, distance
]

[<Tests>]
let tests =
    testList "Evaluation.NearestPatches" [
        test "keeps the nearest, one of an image, in order, over batches" {
            let patches = NearestPatches(1, 2, 2)
            // image 0: cells at 0.5, 0.2, 0.9, 0.1; the code is 1 in the last cell
            let first = [| 0.5; 0.2; 0.9; 0.1 |]

            patches.Add(
                level 1L 1 2 2 (fun _ _ r c -> (if (r, c) = (1, 1) then 1 else 0)) (fun _ _ r c -> first[2 * r + c]),
                0
            )

            Expect.equal (found patches 0 0) [ 0, 1, 0.2f ] "the nearest cell of the image"
            Expect.equal (found patches 0 1) [ 0, 3, 0.1f ] "of the other code"

            // images 1 to 3 with all cells alike
            let near = [| 0.3; 0.1; 0.25 |]
            patches.Add(level 3L 1 2 2 (fun _ _ _ _ -> 0) (fun i _ _ _ -> near[i]), 1)
            Expect.equal (found patches 0 0) [ 2, 0, 0.1f; 0, 1, 0.2f ] "two of four images; the first of equal cells"
            Expect.equal (found patches 0 1) [ 0, 3, 0.1f ] "nobody else chose it"
        }

        testProperty "agrees with sorting everything"
        <| fun (seed: int64) ->
            let draw (limit: int) i b r c =
                DQ.Core.SplitMix64(seed, int64 (10 * i + b), int64 (10 * r + c + 1000 * limit)).Next limit

            let code = draw 3
            let distance i b r c = float (draw 997 i b r c) / 1000.0
            let patches = NearestPatches(2, 3, 3)
            let given = level 7L 2 3 3 code distance
            patches.Add(given, 0)

            for book in 0..1 do
                for chosen in 0..2 do
                    let expected =
                        [
                            for image in 0..6 do
                                let own = [
                                    for row in 0..2 do
                                        for column in 0..2 do
                                            if code image book row column = chosen then
                                                distance image book row column, 3 * row + column
                                ]

                                if not own.IsEmpty then
                                    let distance, cell = List.minBy fst own
                                    distance, image, cell
                        ]
                        |> List.sortBy (fun (distance, image, _) -> distance, image)
                        |> List.truncate 3
                        |> List.map (fun (distance, image, cell) -> image, cell, float32 distance)

                    let same (i, c, d: float32) (j, e, f: float32) = i = j && c = e && abs (d - f) < 1e-6f
                    let actual = found patches book chosen

                    Expect.isTrue
                        (actual.Length = expected.Length && List.forall2 same actual expected)
                        $"%A{actual} %A{expected}"

        test "a level quantized in training has no distances" {
            let training =
                Quantized(torch.zeros 1L, torch.zeros (1L, 1L, 1L, 1L), torch.zeros 1L, torch.zeros 1L, null, null)

            Expect.throwsT<System.ArgumentException> (fun () -> NearestPatches(1, 1, 1).Add(training, 0)) "refused"
        }

        test "the atlas shows the pixels around the cell that chose a code, black beyond the image" {
            inFolder (fun folder ->
                // two gray images of 8 × 8 with pixel values that say where they are
                let file = Path.Combine(folder, "images.u8")

                File.WriteAllBytes(
                    file,
                    [|
                        for image in 0..1 do
                            for pixel in 0..63 -> byte (1 + 100 * image + pixel)
                    |]
                )

                use source = PackedImages.Open(file, 2, 1, 8, 8)

                let spec =
                    AutoencoderSpec(
                        ImageChannels = 1,
                        Channels = 4,
                        ResidualChannels = 2,
                        CoderBlocks = 1,
                        CodeCounts = [| 4 |],
                        Codebooks = 2,
                        CodeWidth = 2
                    )

                use model = new HierarchicalAutoencoder(spec)
                let atlas = PatchAtlas(model, 2)
                // cells of 2 × 2 pixels on a grid of 4 × 4; code 3 is never chosen, code 1 of codebook 1 only in the last cell of image 1
                let code image book row column =
                    if book = 1 && (image, row, column) = (1, 3, 3) then 1
                    elif row = 1 && column = 2 then 2
                    else 0

                let distance image _ row _ =
                    if row = 1 then 0.1 + 0.1 * float image else 0.5

                atlas.Add [| level 2L 2 4 4 code distance |]
                let histograms = CodeHistogram(2, 4)
                histograms.Add(codes 2L 2 4 4 code)
                let drawn = atlas.Draw(7L, "test", source, [| histograms |])
                let level = drawn.Record.Levels[0]
                Expect.equal (drawn.Record.Images, drawn.Record.Split, drawn.Record.Step) (2L, "test", 7L) "of what"
                Expect.equal (level.CellSidePixels, level.PatchSidePixels, level.ShownSidePixels) (2, 4, 4) "sides"
                Expect.equal (level.GridHeight, level.GridWidth, level.PatchesPerCode) (4, 4, 2) "grid"
                Expect.sequenceEqual level.Codebooks[1].Codes [ 0; 1; 2; 3 ] "all codes"
                let images = drawn.Arrays["level0.image"] :?> int[,,]
                let rows = drawn.Arrays["level0.row"] :?> int[,,]
                let columns = drawn.Arrays["level0.column"] :?> int[,,]

                Expect.equal
                    [ images[0, 2, 0]; images[0, 2, 1]; images[0, 3, 0]; images[1, 1, 1] ]
                    [ 0; 1; -1; -1 ]
                    "images"

                Expect.equal (rows[0, 2, 1], columns[0, 2, 1], rows[1, 1, 0], columns[1, 1, 0]) (1, 2, 3, 3) "cells"

                let patch book place number =
                    let struct (_, sheet) = drawn.Sheets[book]
                    let struct (left, top) = level.At(place, number)

                    [
                        for y in 0..3 -> [ for x in 0..3 -> int (sheet.Plane(0).[(top + y) * sheet.Width + left + x]) ]
                    ]

                // cell (1, 2) is rows 2, 3 and columns 4, 5: with half a cell around, rows 1 to 4 and columns 3 to 6
                let expected image = [ for y in 1..4 -> [ for x in 3..6 -> 1 + 100 * image + 8 * y + x ] ]
                Expect.equal (patch 0 2 0) (expected 0) "the nearer image first"
                Expect.equal (patch 0 2 1) (expected 1) "then the other"
                // cell (3, 3): rows 5 to 8 and columns 5 to 8, of which the last are not there
                let corner = [
                    for y in 5..8 -> [ for x in 5..8 -> if x = 8 || y = 8 then 0 else 101 + 8 * y + x ]
                ]

                Expect.equal (patch 1 1 0) corner "the corner"
                Expect.equal (patch 0 3 0) (List.replicate 4 [ 0; 0; 0; 0 ]) "a dead code has none")
        }
    ]
