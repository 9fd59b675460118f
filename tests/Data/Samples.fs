/// Small sources of images, written for a test.
module DQ.Tests.Data.Samples

open System
open System.IO
open Expecto
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Data

let leaves: DataConfig = {
    Source = SourceKind.DeadLeaves
    Path = null
    ImageSize = Some 8
    ImageChannels = None
    Count = 40
    Validation = 0.1
    Test = 0.1
    Limit = 0
    Seed = 0L
    MaxCorrupt = 0.01
    MaxPixels = ImageFile.DefaultMaxPixels
    Flip = false
    Shift = 0
}

/// The usual bound on images.
let mostPixels = ImageFile.DefaultMaxPixels

let from source path = {
    leaves with
        Source = source
        Path = path
        ImageSize = None
}

/// The bytes after the label of record `index`.
let cifarPixels index =
    Array.init 3072 (fun place -> byte (7 * index + place))

/// Five training batches of `perBatch` records and a test batch of three, numbered through; record n has label n mod 10.
let writeCifar folder perBatch =
    Directory.CreateDirectory folder |> ignore

    let record index =
        Array.append [| byte (index % 10) |] (cifarPixels index)

    let write name first count =
        File.WriteAllBytes(Path.Combine(folder, name), Array.collect record [| first .. first + count - 1 |])

    for batch in 0..4 do
        write $"data_batch_{batch + 1}.bin" (batch * perBatch) perBatch

    write "test_batch.bin" (5 * perBatch) 3

let private bigEndian (number: int) = [|
    byte (number >>> 24)
    byte (number >>> 16)
    byte (number >>> 8)
    byte number
|]

let idxImages count height width = [|
    for number in [ 2051; count; height; width ] do
        yield! bigEndian number
    for place in 0 .. count * height * width - 1 -> byte place
|]

let idxLabels (labels: int list) = [|
    yield! bigEndian 2049
    yield! bigEndian labels.Length
    for label in labels -> byte label
|]

/// A PNG of one level.
let png channels height width (level: int) =
    ImageFile.EncodePng(PixelImage(Array.create (channels * height * width) (byte level), channels, height, width))

/// Writes files by their names inside a folder.
let writeTree (folder: string) (files: (string * byte[]) list) =
    for name, content in files do
        let path = Path.Combine(folder, name)
        Directory.CreateDirectory(Path.GetDirectoryName path |> string) |> ignore
        File.WriteAllBytes(path, content)

/// The one line of a data error; fails the test on anything else.
let dataError (result: Result<'value, StageError>) =
    match result with
    | Error(Data message) -> message
    | other -> failwith $"expected a data error, got {other}"

let ok (result: Result<'value, StageError>) =
    match result with
    | Ok value -> value
    | Error problem -> failwith (String.concat "; " (StageError.lines problem))

/// What a look at a source gives; it is closed after it.
let looked (look: ImageSource -> 'a) (source: Result<ImageSource, StageError>) =
    match source with
    | Ok source ->
        try
            look source
        finally
            source.Close()
    | Error error -> failtestf "%A" (StageError.lines error)
