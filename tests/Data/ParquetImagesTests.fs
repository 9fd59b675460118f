/// Parquet files in the layout of Hugging Face's data sets.
module DQ.Tests.Data.ParquetImagesTests

open System
open System.Collections.Generic
open System.IO
open Expecto
open Parquet
open Parquet.Schema
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Data
open DQ.Tests.Data.Samples
open DQ.Tests.TemporaryFolder

let private metadata =
    """{"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}"""

/// A file with these rows, three to a group.
let private write (file: string) (rows: ((byte[] | null) * int64) list) =
    Directory.CreateDirectory(nonNull (Path.GetDirectoryName file)) |> ignore

    let schema =
        ParquetSchema(
            StructField("image", DataField<byte[]> "bytes", DataField<string> "path"),
            DataField<int64> "label"
        )

    use stream = File.Create file

    (task {
        use! writer = ParquetWriter.CreateAsync(schema, stream)
        writer.CustomMetadata <- Dictionary(dict [ "huggingface", metadata ])
        let fields = schema.GetDataFields()

        for group in List.chunkBySize 3 rows do
            use target = writer.CreateRowGroup()
            let bytes: IReadOnlyCollection<byte[]> = [| for bytes, _ in group -> unbox<byte[]>(box bytes) |]
            do! target.WriteAsync(fields[0], bytes)
            let paths: IReadOnlyCollection<string> = [| for _ in group -> "a.png" |]
            do! target.WriteAsync(fields[1], paths)
            let labels = [| for _, label in group -> label |]
            do! target.WriteAsync<int64>(fields[2], ReadOnlyMemory labels)
    })
        .GetAwaiter()
        .GetResult()

let private opened path look =
    looked look (ParquetImages.open' path mostPixels)

[<Tests>]
let tests =
    testList "Data.ParquetImages" [
        test "splits by the names of files and folders, classes by the metadata, images as they were encoded" {
            inFolder (fun folder ->
                let levels = [ 10; 20; 30; 40; 50 ]

                write (Path.Combine(folder, "data", "train-00000-of-00002.parquet")) [
                    for level in levels -> png 3 4 6 level, int64 (level / 10 % 2)
                ]

                write (Path.Combine(folder, "data", "train-00001-of-00002.parquet")) [ png 3 4 6 60, 0L ]
                write (Path.Combine(folder, "default", "validation", "0000.parquet")) [ png 1 5 5 7, 1L ]
                write (Path.Combine(folder, "data", "test-00000-of-00001.parquet")) [ png 3 4 6 9, -1L ]

                opened folder (fun source ->
                    Expect.equal source.ClassNames [ "cat"; "dog" ] "names"
                    Expect.equal source.Train.Labels (Some [| 1; 0; 1; 0; 1; 0 |]) "labels, file after file"

                    // back and forth over row groups and files
                    for place, level in [ 5, 60; 0, 10; 4, 50; 2, 30; 3, 40 ] do
                        let image = source.Train.Read place
                        Expect.equal (image.Height, image.Width, int image.Bytes[0]) (4, 6, level) $"image {place}"

                    Expect.equal source.Validation.Value.Labels (Some [| 1 |]) "by a folder's name"
                    Expect.equal source.Test.Value.Labels None "a secret label is none"))
        }

        test "one file without a split is for training; a row without bytes is that row's problem" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "images.parquet")
                write file [ png 3 4 4 1, 0L; null, 1L; [| 1uy; 2uy |], 1L ]

                opened file (fun source ->
                    Expect.equal source.Train.Count 3 "rows"
                    Expect.equal (source.Train.Name 1) "images.parquet[1]" "its name"

                    for row in 1..2 do
                        match ImageSource.attempt (fun () -> source.Train.Read row) with
                        | Error _ -> ()
                        | Ok _ -> failtest $"row {row} is no image"))
        }

        test "what is no such file is said" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "train.parquet")
                File.WriteAllText(file, "no Parquet at all, but long enough for a look at its end")

                match ParquetImages.open' file mostPixels with
                | Error(Data message) -> Expect.stringContains message file "the file"
                | other -> failtestf "%A" other

                let empty = Path.Combine(folder, "empty")
                Directory.CreateDirectory empty |> ignore

                match ParquetImages.open' empty mostPixels with
                | Error(Data message) -> Expect.stringContains message "expected .parquet files" "none"
                | other -> failtestf "%A" other)
        }
    ]
