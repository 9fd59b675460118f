namespace DQ.Pipeline.Data

open System
open System.IO
open DQ.Core.Images
open DQ.Pipeline

/// One split of a source, in the source's own order.
type SourceSplit = {
    Count: int
    /// Class of each image; None when the source has no classes.
    Labels: int[] option
    /// What messages call an image.
    Name: int -> string
    /// An image at its own size; InvalidDataException or IOException say what is wrong with its file. Called from several
    /// threads.
    Read: int -> PixelImage
}

/// A file the source is made of, for its fingerprint.
type SourceFile = {
    /// Inside the source, with forward slashes.
    Name: string
    Path: string
    Bytes: int64
    ModifiedUtc: DateTime
}

/// Images as some format has them, whatever the format.
type ImageSource = {
    /// By label; empty without classes.
    ClassNames: string list
    /// Channels, height and width when the source has one shape of its own.
    Shape: (int * int * int) option
    Train: SourceSplit
    Validation: SourceSplit option
    Test: SourceSplit option
    /// Empty for procedural images.
    Files: SourceFile list
    /// Files that are no images and were left alone.
    OtherFiles: int
    /// Name and version of the procedure that draws the images.
    Generator: string option
    Close: unit -> unit
}

module ImageSource =
    /// Runs what touches the source's files; what they can do wrong becomes a data error.
    let guard (path: string) (work: unit -> Result<'value, StageError>) =
        try
            work ()
        with
        | :? InvalidDataException as problem -> Error(Data $"{path}: {problem.Message}")
        | :? IOException
        | :? UnauthorizedAccessException as problem -> Error(Data $"{path}: can't be read: {problem.Message}")

    let file root (path: string) =
        let info = FileInfo path

        {
            Name = Path.GetRelativePath(root, path).Replace('\\', '/')
            Path = path
            Bytes = info.Length
            ModifiedUtc = info.LastWriteTimeUtc
        }

    /// First the first of every group, then the second of every group that has one, and so on: classes stay balanced in
    /// whatever part of the order is taken.
    let interleave (groups: 'item[][]) : 'item[] = [|
        for place in 0 .. (groups |> Array.map _.Length |> Array.fold max 0) - 1 do
            for group in groups do
                if place < group.Length then
                    group[place]
    |]
