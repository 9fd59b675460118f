module DQ.Tests.Data.DownsampledImageNetTests

open System
open System.IO
open Expecto
open DQ.Core.Formats
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.Fixtures
open DQ.Tests.TemporaryFolder

// tests/Fixtures/imagenet/make.py wrote the files
let private count = 5

/// Pixels of an image of a file.
let private pixels side file image =
    Array.init (3 * side * side) (fun pixel -> byte (7 * image + pixel + 31 * file))

let private at (parts: string list) = fixture ("imagenet" :: parts)

let private opened folder size =
    ok (DownsampledImageNet.open' (at [ folder ]) size)

let private copy (source: string) (target: string) =
    for file in Directory.GetFiles(source, "*", SearchOption.AllDirectories) do
        let copied = Path.Combine(target, Path.GetRelativePath(source, file))
        Directory.CreateDirectory(nonNull (Path.GetDirectoryName copied)) |> ignore
        File.Copy(file, copied)

[<Tests>]
let tests =
    testList "Data.DownsampledImageNet" [
        for folder, size, side in [ "pickled", Some 16, 16; "pickled", Some 8, 8; "npz", None, 8 ] do
            test $"{folder}, {side}×{side}: images and labels, file by file" {
                let source = opened folder size
                Expect.equal source.Shape (Some(3, side, side)) "shape"
                Expect.equal (source.Train.Count, source.Test.Value.Count) (2 * count, count) "counts"
                Expect.equal source.Train.Labels (Some [| 0; 1; 2; 3; 4; 1; 2; 3; 4; 5 |]) "labels, from 0"
                Expect.equal source.Test.Value.Labels (Some [| 2..6 |]) "test labels"

                // from several threads, as packing reads
                let images = Array.Parallel.init (2 * count) source.Train.Read

                for index, image in Array.indexed images do
                    Expect.equal image.Bytes (pixels side (index / count) (index % count)) $"image {index}"

                Expect.equal (source.Test.Value.Read 3).Bytes (pixels side 2 3) "a test image"
                Expect.stringStarts (source.Train.Name 6) "train_data_batch_2" "its file"
                Expect.stringEnds (source.Train.Name 6) "[1]" "its place"
                Expect.equal source.ClassNames.Length 1000 "classes"
                Expect.equal source.Files.Length 3 "only files of this size"
                source.Close()
            }

        test "of several sizes, the smallest that is large enough" {
            let source = opened "pickled" (Some 12)
            Expect.equal source.Shape (Some(3, 16, 16)) "16 for 12"
            source.Close()

            Expect.stringContains
                (dataError (DownsampledImageNet.open' (at [ "pickled" ]) (Some 32)))
                "expected images of at least 32×32 (data.image_size), found sides 8, 16"
                "none for 32"

            Expect.stringContains
                (dataError (DownsampledImageNet.open' (at [ "pickled" ]) None))
                "expected data.image_size to say which"
                "none asked for"
        }

        for form in [ "protocol2"; "protocol4"; "protocol5"; "numpy2"; "label-array" ] do
            test $"{form}: another way of writing the same" {
                use batch = DownsampledBatch.Open(at [ "forms"; form ], InflatedFiles())
                Expect.equal (batch.Count, batch.Size) (count, 8) "shape"
                Expect.sequenceEqual batch.Labels [ 0..4 ] "labels"
                let read = Array.zeroCreate 192
                batch.Read(4, read.AsSpan())
                Expect.equal read (pixels 8 0 4) "pixels"
            }

        for form, message in
            [
                "refused-call", "pathlib.PurePosixPath"
                "refused-type", "expected data of bytes (N, 3·size·size), found f4 (5, 192)"
                "refused-order", "the last axis fastest"
                "refused-shape", "found u1 (5, 191)"
                "refused-labels", "expected 5 labels, found 4"
                "refused-label", "expected labels from 1 to 1000, found another at 0"
                "refused-keys", "expected a pickled dictionary with an array 'data' and 'labels'"
            ] do
            test $"{form}: one line that names the file" {
                let file = at [ "forms"; form ]

                Expect.throwsC (fun () -> DownsampledBatch.Open(file, InflatedFiles()).Dispose()) (fun error ->
                    Expect.equal (error.GetType()) typeof<InvalidDataException> "kind"
                    Expect.stringStarts error.Message file "the file"
                    Expect.stringContains error.Message message "what was expected"
                    Expect.isFalse (error.Message.Contains '\n') "one line")
            }

        test "missing, doubled and damaged files are refused by name" {
            inFolder (fun folder ->
                let refused expected =
                    Expect.stringContains (dataError (DownsampledImageNet.open' folder None)) expected expected

                refused "expected train_data_batch_1 … and val_data (.npz or pickled), found none of them"
                copy (at [ "npz" ]) folder
                let validation = Path.Combine(folder, "val_data.npz")
                File.Move(validation, Path.Combine(folder, "elsewhere"))
                refused "expected one file val_data of side 8, found 0 of them"
                File.Move(Path.Combine(folder, "elsewhere"), validation)
                File.Copy(at [ "forms"; "protocol4" ], Path.Combine(folder, "train_data_batch_1"))
                refused "found train_data_batch_1 of side 8 more than once"
                File.Delete(Path.Combine(folder, "train_data_batch_1"))
                let batch = Path.Combine(folder, "train_data_batch_1.npz")
                let whole = File.ReadAllBytes batch

                for length in [ 0; 1; 40; whole.Length / 2; whole.Length - 1 ] do
                    File.WriteAllBytes(batch, whole[.. length - 1])
                    refused batch

                File.Copy(at [ "forms"; "protocol4" ], batch, true)
                let pickle = File.ReadAllBytes batch

                for length in [ 10; 200; pickle.Length - 1 ] do
                    File.WriteAllBytes(batch, pickle[.. length - 1])
                    refused batch)
        }

        test "bytes that were changed at random give images, or one line" {
            inFolder (fun folder ->
                let random = Random 1
                let file = Path.Combine(folder, "batch")

                for form in [ at [ "forms"; "protocol4" ]; at [ "npz"; "train_data_batch_2.npz" ] ] do
                    let whole = File.ReadAllBytes form

                    for _ in 1..150 do
                        File.WriteAllBytes(file, mutate random whole.Length "()RbtB"B whole)

                        try
                            use batch = DownsampledBatch.Open(file, InflatedFiles())
                            batch.Read(0, (Array.zeroCreate (3 * batch.Size * batch.Size)).AsSpan())
                        with
                        | :? InvalidDataException
                        | :? EndOfStreamException
                        | :? DQ.Core.Formats.WeightsException -> ())
        }

        test "packed from pickles and from npz archives, the same data set" {
            inFolder (fun folder ->
                let packed name source =
                    let config = {
                        from SourceKind.ImageNetDownsampled (at [ source ]) with
                            ImageSize = Some 8
                            Validation = 2.0
                    }

                    let target = Path.Combine(folder, name)

                    let record =
                        ok (
                            Ingest.run
                                (FileHashes())
                                config
                                name
                                target
                                (fun _ _ -> ())
                                Threading.CancellationToken.None
                        )

                    record.Train.Count, record.Validation.Count, record.Test.Count, record.Train.Images.Sha256

                let expected = packed "a" "pickled"
                Expect.equal (packed "b" "npz") expected "bytes"
                let train, validation, test, _ = expected
                Expect.equal (train, validation, test) (8, 2, 5) "counts")
        }
    ]
