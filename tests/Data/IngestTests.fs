module DQ.Tests.Data.IngestTests

open System
open System.IO
open System.Threading
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.TemporaryFolder

let private run config folder =
    Ingest.run (FileHashes()) config "sample" folder (fun _ _ -> ()) CancellationToken.None

/// Runs in a fresh folder with a place for a source and one for the packed data set.
let private withPlaces test =
    inFolder (fun folder -> test (Path.Combine(folder, "source")) (Path.Combine(folder, "packed", "set")))

let private images (part: DatasetPart) = [ for index in 0 .. part.Images.Count - 1 -> part.Images[index].ToArray() ]

let private expectNothingBeside (packed: string) =
    let parent = Path.GetDirectoryName packed |> string

    let found =
        if Directory.Exists parent then
            Directory.GetFileSystemEntries parent |> List.ofArray
        else
            []

    Expect.equal
        found
        [
            if Directory.Exists packed then
                packed
        ]
        "nothing half-written"

/// Checked and mapped.
let private opened folder =
    Dataset.check (FileHashes()) folder |> Result.bind Dataset.open' |> ok

[<Tests>]
let tests =
    testList "Data.Ingest" [
        test "CIFAR-10: counts, splits, labels and statistics" {
            withPlaces (fun source packed ->
                writeCifar source 8
                let record = run (from SourceKind.Cifar10 source) packed |> ok
                Expect.equal (record.Train.Count, record.Validation.Count, record.Test.Count) (36, 4, 3) "counts"
                expectNothingBeside packed
                use set = opened packed
                let numbers = Map.ofList [ for index in 0..42 -> cifarPixels index, index ]

                let indices part =
                    images part |> List.map (fun bytes -> numbers[bytes])

                Expect.equal
                    (List.sort (indices set.Train @ indices set.Validation))
                    [ 0..39 ]
                    "each training image once"

                Expect.equal (indices set.Test) [ 40..42 ] "the source's own test images"

                for part in [ set.Train; set.Validation; set.Test ] do
                    Expect.equal
                        (List.ofArray part.Labels.Value)
                        [ for index in indices part -> index % 10 ]
                        "labels follow their images"

                    Expect.equal (indices part) (List.sort (indices part)) "in the source's order"

                let reds =
                    images set.Train
                    |> Seq.collect (fun bytes -> bytes[..1023])
                    |> Seq.map (fun value -> float value / 255.0)
                    |> Array.ofSeq

                let mean = Array.average reds
                Expect.floatClose Accuracy.high record.TrainMean[0] mean "mean"
                let deviation = sqrt (reds |> Array.averageBy (fun value -> (value - mean) ** 2.0))
                Expect.floatClose Accuracy.high record.TrainStd[0] deviation "deviation")
        }

        test "the same settings give the same bytes" {
            withPlaces (fun _ packed ->
                let first = run leaves packed |> ok
                let second = run leaves (packed + "-again") |> ok
                Expect.equal second.Train first.Train "train, with its checksum"
                Expect.equal second.Validation first.Validation "validation"
                let other = run { leaves with Seed = 1L } (packed + "-other") |> ok
                Expect.notEqual other.Train.Images.Sha256 first.Train.Images.Sha256 "another seed")
        }

        test "dead leaves: test is cut from train, channels as asked" {
            withPlaces (fun _ packed ->
                let record =
                    run
                        {
                            leaves with
                                ImageChannels = Some 1
                                Validation = 5.0
                        }
                        packed
                    |> ok

                Expect.equal (record.Train.Count, record.Validation.Count, record.Test.Count) (31, 5, 4) "counts"
                Expect.equal (record.Channels, record.Height, record.Width) (1, 8, 8) "shape"
                Expect.equal record.Generator $"dead_leaves/{DeadLeaves.Version}" "generator"
                Expect.isEmpty record.ClassNames "classes"
                Expect.isNull record.Train.Labels "labels")
        }

        test "a limit takes the first of each split" {
            withPlaces (fun source packed ->
                writeCifar source 8
                run (from SourceKind.Cifar10 source) packed |> ok |> ignore

                run
                    {
                        from SourceKind.Cifar10 source with
                            Limit = 2
                    }
                    (packed + "2")
                |> ok
                |> ignore

                use all = opened packed
                use limited = opened (packed + "2")

                for whole, part in
                    [
                        all.Train, limited.Train
                        all.Validation, limited.Validation
                        all.Test, limited.Test
                    ] do
                    Expect.equal (images part) (List.truncate 2 (images whole)) "images"
                    Expect.equal part.Labels.Value whole.Labels.Value[..1] "labels")
        }

        test "a folder's odd images are cropped, resized, coloured and counted" {
            withPlaces (fun source packed ->
                writeTree source [
                    "a.png", png 3 4 4 10
                    "b.png", png 3 9 5 20
                    "c.png", png 1 4 4 30
                    "d.png", png 1 3 3 40
                    "notes.txt", [||]
                ]

                let record =
                    run
                        {
                            from SourceKind.Folder source with
                                ImageSize = Some 4
                                Validation = 0.0
                                Test = 0.0
                        }
                        packed
                    |> ok

                Expect.equal (record.ResizedImages, record.GrayImages, record.OtherFiles) (2, 2, 1) "counts"
                use set = opened packed

                Expect.equal
                    (images set.Train)
                    [ for level in [ 10uy; 20uy; 30uy; 40uy ] -> Array.create 48 level ]
                    "pixels"

                Expect.equal set.Validation.Images.Count 0 "no validation asked for")
        }

        test "unreadable images under the share are left out and named" {
            withPlaces (fun source packed ->
                writeTree source [
                    for index in 0..9 -> $"{index}.png", (if index = 3 then "no picture"B else png 1 4 4 index)
                ]

                let config = {
                    from SourceKind.Folder source with
                        ImageSize = Some 4
                        Validation = 0.0
                        Test = 0.0
                        MaxCorrupt = 0.1
                }

                let record = run config packed |> ok
                Expect.equal record.Train.Count 9 "the others"

                Expect.equal
                    (List.ofSeq record.CorruptImages)
                    [ CorruptImage("3.png", "expected a PNG, JPEG or WebP image, got text") ]
                    "named"

                use set = opened packed
                Expect.equal [ for image in images set.Train -> int image[0] ] [ 0; 1; 2; 4; 5; 6; 7; 8; 9 ] "no gap"
                let message = dataError (run { config with MaxCorrupt = 0.05 } (packed + "-strict"))

                Expect.stringContains
                    message
                    "got 1 of 10; the first: 3.png: expected a PNG, JPEG or WebP image, got text"
                    "over the share"

                Expect.isFalse (Directory.Exists(packed + "-strict")) "nothing written")
        }

        test "what can't even be hashed is left out by name like what can't be decoded" {
            withPlaces (fun source packed ->
                writeTree source [ for index in 0..19 -> $"a/{index}.png", png 3 4 4 index ]

                File.CreateSymbolicLink(Path.Combine(source, "a/x.png"), "nowhere.png")
                |> ignore

                let config = {
                    from SourceKind.Folder source with
                        ImageSize = Some 4
                        Validation = 0.0
                        Test = 0.0
                        MaxCorrupt = 0.05
                }

                let record = run config packed |> ok
                Expect.equal record.Train.Count 20 "the others"
                Expect.equal (List.ofSeq record.CorruptImages) [ CorruptImage("a/x.png", "a link to nothing") ] "named"

                Expect.equal
                    (Ingest.foresee (FileHashes()) config |> ok).Fingerprint
                    record.Fingerprint
                    "the fingerprint"

                let message = dataError (run { config with MaxCorrupt = 0.01 } (packed + "-strict"))
                Expect.stringContains message "got 1 of 21; the first: a/x.png: a link to nothing" "over the share")
        }

        test "an image above data.max_pixels is left out by name" {
            withPlaces (fun source packed ->
                writeTree source [ "1.png", png 3 4 4 9; "2.png", png 3 8 8 9 ]

                let config = {
                    from SourceKind.Folder source with
                        ImageSize = Some 4
                        Validation = 0.0
                        Test = 0.0
                        MaxCorrupt = 0.5
                        MaxPixels = 63L
                }

                let record = run config packed |> ok

                Expect.equal
                    (List.ofSeq record.CorruptImages)
                    [
                        CorruptImage("2.png", "expected at most 63 pixels (data.max_pixels), got 8 × 8")
                    ]
                    "named"

                Expect.notEqual
                    (Ingest.foresee (FileHashes()) { config with MaxPixels = 64L } |> ok).Fingerprint
                    record.Fingerprint
                    "another bound, another data set")
        }

        test "a class that only test has keeps its label, and is said" {
            withPlaces (fun source packed ->
                let names = [ "train/a/1"; "train/b/1"; "test/a/1"; "test/c/1" ]
                writeTree source [ for name in names -> $"{name}.png", png 3 4 4 9 ]

                let record =
                    run
                        {
                            from SourceKind.Folder source with
                                ImageSize = Some 4
                                Validation = 0.0
                        }
                        packed
                    |> ok

                Expect.equal (List.ofSeq record.ClassNames) [ "a"; "b"; "c" ] "classes"

                Expect.equal
                    (List.ofSeq record.Notes)
                    [ "1 classes have images in validation or test and none in train: 'c'" ]
                    "said"

                use set = opened packed
                Expect.equal set.Test.Labels (Some [| 0; 2 |]) "labels")
        }

        test "how many images each split will have is known before packing" {
            withPlaces (fun source packed ->
                writeCifar source 8
                let config = from SourceKind.Cifar10 source
                let counts = (Ingest.foresee (FileHashes()) config |> ok).Counts
                let record = run config packed |> ok

                Expect.equal
                    (counts.Train, counts.Validation, counts.Test)
                    (record.Train.Count, record.Validation.Count, record.Test.Count)
                    "counts")
        }

        test "a bad source leaves nothing behind" {
            withPlaces (fun source packed ->
                writeTree source [ "a.png", "text"B ]

                let config = {
                    from SourceKind.Folder source with
                        ImageSize = Some 4
                        Validation = 0.0
                        Test = 0.0
                        MaxCorrupt = 1.0
                }

                Expect.stringContains (dataError (run config packed)) "expected training images" "nothing readable"
                expectNothingBeside packed

                Expect.stringStarts
                    (dataError (run { config with Validation = 1.0 } packed))
                    "data.validation: expected more than"
                    "all cut"

                expectNothingBeside packed)
        }

        test "cancelling leaves nothing behind" {
            withPlaces (fun _ packed ->
                use cancellation = new CancellationTokenSource()
                let stop _ _ = cancellation.Cancel()

                Expect.throwsT<OperationCanceledException>
                    (fun () ->
                        Ingest.run (FileHashes()) leaves "sample" packed stop cancellation.Token
                        |> ignore)
                    "cancelled after the first split"

                expectNothingBeside packed)
        }

        test "progress rises to the number of images" {
            withPlaces (fun _ packed ->
                let heard = Collections.Generic.List()

                Ingest.run
                    (FileHashes())
                    leaves
                    "sample"
                    packed
                    (fun finished total -> heard.Add(finished, total))
                    CancellationToken.None
                |> ok
                |> ignore

                Expect.equal (List.ofSeq heard) [ 32, 40; 36, 40; 40, 40 ] "split by split")
        }

        test "what a killed process left is cleared, and an older data set replaced" {
            withPlaces (fun _ packed ->
                writeTree (packed + ".partial") [ "train.u8", [| 1uy |] ]
                writeTree packed [ "stray", [| 1uy |] ]
                run leaves packed |> ok |> ignore
                expectNothingBeside packed
                Expect.isFalse (File.Exists(Path.Combine(packed, "stray"))) "replaced")
        }

        test "a second process is refused" {
            withPlaces (fun _ packed ->
                Directory.CreateDirectory(Path.GetDirectoryName packed |> string) |> ignore

                use _held =
                    new FileStream(packed + ".lock", FileMode.Create, FileAccess.ReadWrite, FileShare.None)

                match run leaves packed with
                | Error(Busy message) -> Expect.stringStarts message packed "message"
                | other -> failwith $"expected Busy, got {other}")
        }

        test "a folder that cannot be made is a storage error" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "file")
                File.WriteAllText(file, "")
                let packed = Path.Combine(file, "packed")

                match run leaves packed with
                | Error(Storage message) -> Expect.stringStarts message packed "message"
                | other -> failwith $"expected Storage, got {other}")
        }

        test "the fingerprint is of content and settings, not of place and time" {
            withPlaces (fun source packed ->
                writeCifar source 2

                let fingerprint config =
                    (Ingest.foresee (FileHashes()) config |> ok).Fingerprint

                let config = from SourceKind.Cifar10 source
                let first = fingerprint config
                Expect.equal (run config packed |> ok).Fingerprint first "the record's"

                let copy = source + "-copy"
                writeCifar copy 2
                File.SetLastWriteTimeUtc(Path.Combine(copy, "test_batch.bin"), DateTime(2001, 1, 1))
                Expect.equal (fingerprint (from SourceKind.Cifar10 copy)) first "a copy"
                Expect.equal (fingerprint { config with Flip = true; Shift = 2 }) first "what training does later"

                for other in
                    [
                        { config with Seed = 1L }
                        { config with Limit = 1 }
                        { config with Validation = 0.2 }
                        { config with ImageSize = Some 16 }
                        { config with ImageChannels = Some 1 }
                    ] do
                    Expect.notEqual (fingerprint other) first "another setting"

                let file = Path.Combine(copy, "data_batch_3.bin")
                let bytes = File.ReadAllBytes file
                bytes[100] <- bytes[100] + 1uy
                File.WriteAllBytes(file, bytes)
                Expect.notEqual (fingerprint (from SourceKind.Cifar10 copy)) first "another content")
        }
    ]
