namespace DQ.Pipeline.Data

open System
open System.Buffers.Binary
open System.IO
open System.Security.Cryptography
open FsToolkit.ErrorHandling
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Pipeline

/// One split of a packed data set.
type DatasetPart = {
    Images: PackedImages
    /// Class of each image; None without classes.
    Labels: int[] option
}

/// A packed data set, open for reading.
type Dataset = {
    Folder: string
    Record: DatasetRecord
    Train: DatasetPart
    Validation: DatasetPart
    Test: DatasetPart
} with

    interface IDisposable with
        member this.Dispose() =
            for part in [ this.Train; this.Validation; this.Test ] do
                part.Images.Dispose()

module Dataset =
    let private guard (work: unit -> 'value) : Result<'value, StageError> =
        try
            Ok(work ())
        with
        | :? ArtifactException
        | :? InvalidDataException
        | :? IOException
        | :? UnauthorizedAccessException as problem -> Error(Data problem.Message)

    /// The record alone; the packed files are not looked at.
    let readRecord (folder: string) : Result<DatasetRecord, StageError> =
        guard (fun () -> ArtifactJson.Read<DatasetRecord>(Path.Combine(folder, DatasetRecord.FileName)))

    let private verify folder (file: PackedFile) =
        let path = Path.Combine(folder, file.File)

        if not (File.Exists path) then
            Error(Data $"{path}: expected the {file.Bytes} bytes that {DatasetRecord.FileName} lists, found no file")
        elif FileInfo(path).Length <> file.Bytes then
            Error(
                Data
                    $"{path}: expected the {file.Bytes} bytes that {DatasetRecord.FileName} lists, got {FileInfo(path).Length}"
            )
        else
            guard (fun () ->
                use stream = File.OpenRead path
                Convert.ToHexStringLower(SHA256.HashData stream))
            |> Result.bind (fun actual ->
                if actual = file.Sha256 then
                    Ok()
                else
                    Error(
                        Data
                            $"{path}: its content changed since it was packed: expected SHA-256 {file.Sha256}, got {actual}"
                    ))

    let private readLabels path count classes =
        let bytes = File.ReadAllBytes path

        if int64 bytes.Length <> 4L * int64 count then
            raise (InvalidDataException $"{path}: expected the labels of {count} images, got {bytes.Length} bytes")

        let labels =
            Array.init count (fun place -> BinaryPrimitives.ReadInt32LittleEndian(ReadOnlySpan(bytes, 4 * place, 4)))

        match labels |> Array.tryFind (fun label -> label < 0 || label >= classes) with
        | Some label -> raise (InvalidDataException $"{path}: expected labels below {classes}, got {label}")
        | None -> labels

    /// A record whose files and sizes say something.
    let private checkSizes folder (record: DatasetRecord) =
        let counts = [ for _, split in record.Splits() -> split.Count ]

        if min record.Channels (min record.Height record.Width) < 1 || List.min counts < 0 then
            Error(
                Data
                    $"{Path.Combine(folder, DatasetRecord.FileName)}: expected sizes above 0 and no negative counts, got {record.Channels} × {record.Height} × {record.Width} and {counts}"
            )
        else
            Ok()

    /// Opens a packed data set after checking every file's length and SHA-256 against its record: silent damage would
    /// otherwise be trained on. That reads it all once, at the disk's speed.
    let open' (folder: string) : Result<Dataset, StageError> =
        result {
            let! record = readRecord folder
            do! checkSizes folder record

            for _, split in record.Splits() do
                do! verify folder split.Images

                match split.Labels with
                | null -> ()
                | labels -> do! verify folder labels

            let part (split: DatasetSplit) = {
                Images =
                    PackedImages.Open(
                        Path.Combine(folder, split.Images.File),
                        split.Count,
                        record.Channels,
                        record.Height,
                        record.Width
                    )
                Labels =
                    split.Labels
                    |> Option.ofObj
                    |> Option.map (fun labels ->
                        readLabels (Path.Combine(folder, labels.File)) split.Count record.ClassNames.Count)
            }

            return!
                guard (fun () -> {
                    Folder = folder
                    Record = record
                    Train = part record.Train
                    Validation = part record.Validation
                    Test = part record.Test
                })
        }
