namespace DQ.Pipeline.Data

open System
open System.Buffers.Binary
open System.IO
open FsToolkit.ErrorHandling
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Storage

/// One split of a packed data set.
type DatasetPart = {
    Images: PackedImages
    /// Class of each image; None without classes.
    Labels: int[] option
}

/// A packed data set: its folder, and the content of dataset.json. No file is open.
type Dataset = {
    Folder: string
    Record: DatasetRecord
} with

    /// Name of its folder.
    member this.Name = nonNull (Path.GetFileName this.Folder)

/// A packed data set whose images are mapped for reading.
type OpenDataset = {
    Set: Dataset
    Train: DatasetPart
    Validation: DatasetPart
    Test: DatasetPart
} with

    member this.Folder = this.Set.Folder
    member this.Record = this.Set.Record

    member this.Part(split: Split) =
        match split with
        | Split.Train -> this.Train
        | Split.Validation -> this.Validation
        | Split.Test -> this.Test

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

    /// The content of dataset.json; the packed files are not read.
    let read (folder: string) : Result<Dataset, StageError> =
        guard (fun () -> {
            Folder = folder
            Record = ArtifactJson.Read<DatasetRecord>(Path.Combine(folder, DatasetRecord.FileName))
        })

    let private checkFile (hashes: FileHashes) folder (file: PackedFile) =
        let path = Path.Combine(folder, file.File)

        if not (File.Exists path) then
            Error(Data $"{path}: expected the {file.Bytes} bytes that {DatasetRecord.FileName} lists, found no file")
        elif FileInfo(path).Length <> file.Bytes then
            Error(
                Data
                    $"{path}: expected the {file.Bytes} bytes that {DatasetRecord.FileName} lists, got {FileInfo(path).Length}"
            )
        else
            guard (fun () -> hashes.Sha256 path)
            |> Result.bind (fun actual ->
                if actual = file.Sha256 then
                    Ok()
                else
                    Error(
                        Data
                            $"{path}: its content changed since it was packed: expected SHA-256 {file.Sha256}, got {actual}"
                    ))

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

    /// The data set of a folder, after a check of every file's length and SHA-256. Without the check a model could be
    /// trained on damaged files. It reads all files once per process, at the disk's speed.
    let check (hashes: FileHashes) (folder: string) : Result<Dataset, StageError> =
        result {
            let! dataset = read folder
            do! checkSizes folder dataset.Record

            for _, split in dataset.Record.Splits() do
                do! checkFile hashes folder split.Images

                match split.Labels with
                | null -> ()
                | labels -> do! checkFile hashes folder labels

            return dataset
        }

    let private readLabels path count classes =
        let bytes = DQ.Core.RegularFile.ReadAllBytes(path, 4L * int64 count)

        if int64 bytes.Length <> 4L * int64 count then
            raise (InvalidDataException $"{path}: expected the labels of {count} images, got {bytes.Length} bytes")

        let labels =
            Array.init count (fun place -> BinaryPrimitives.ReadInt32LittleEndian(ReadOnlySpan(bytes, 4 * place, 4)))

        match labels |> Array.tryFind (fun label -> label < 0 || label >= classes) with
        | Some label -> raise (InvalidDataException $"{path}: expected labels below {classes}, got {label}")
        | None -> labels

    /// Maps its images; the caller disposes them.
    let open' (dataset: Dataset) : Result<OpenDataset, StageError> =
        let record = dataset.Record

        let part (split: DatasetSplit) = {
            Images =
                PackedImages.Open(
                    Path.Combine(dataset.Folder, split.Images.File),
                    split.Count,
                    record.Channels,
                    record.Height,
                    record.Width
                )
            Labels =
                split.Labels
                |> Option.ofObj
                |> Option.map (fun labels ->
                    readLabels (Path.Combine(dataset.Folder, labels.File)) split.Count record.ClassNames.Count)
        }

        guard (fun () -> {
            Set = dataset
            Train = part record.Train
            Validation = part record.Validation
            Test = part record.Test
        })
