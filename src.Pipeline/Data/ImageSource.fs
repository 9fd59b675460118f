namespace DQ.Pipeline.Data

open System
open System.IO
open DQ.Core
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Core.Formats
open DQ.Pipeline
open DQ.Pipeline.Configuration

/// One split of a source, in the source's own order.
type SourceSplit = {
    Count: int
    /// Class of each image; None when the source has no classes.
    Labels: int[] option
    /// What messages call an image.
    Name: int -> string
    /// An image at its own size; an exception says what is wrong with its file, whatever it is. Called from several threads.
    Read: int -> PixelImage
}

/// A file the source is made of, for its fingerprint.
type SourceFile = {
    /// Inside the source, with forward slashes.
    Name: string
    Path: string
    Bytes: int64
    ModifiedUtc: DateTime
    /// Why it is not read: a pipe, or a link to nothing. None for a file.
    Problem: string option
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
    /// What might be images and has no place in a split: counted like images that can't be decoded.
    LeftOut: CorruptImage list
    /// Files that are no images and were left alone.
    OtherFiles: int
    /// What the user should know of the source, one line each.
    Notes: string list
    /// Name and version of the procedure that draws the images.
    Generator: string option
    Close: unit -> unit
}

module ImageSource =
    let firstLine (message: string) = (message.Split '\n')[0]

    /// The one guard through which files of a source are read: whatever goes wrong with one file is that file's, in words.
    let attempt (read: unit -> 'value) : Result<'value, string> =
        try
            Ok(read ())
        with
        | :? OperationCanceledException -> reraise ()
        | :? InvalidDataException
        | :? IOException
        | :? UnauthorizedAccessException as problem -> Error(firstLine problem.Message)
        | problem -> Error $"{problem.GetType().Name}: {firstLine problem.Message}"

    /// Runs what touches a source as a whole; what its files can do wrong becomes a data error.
    let guard (path: string) (work: unit -> Result<'value, StageError>) =
        try
            work ()
        with
        | :? WeightsException
        | :? InvalidDataException as problem -> Error(Data $"{path}: {problem.Message}")
        | :? IOException
        | :? UnauthorizedAccessException as problem -> Error(Data $"{path}: can't be read: {problem.Message}")

    /// A file under this name; what is no file has its problem said, and is never opened.
    let fileCalled name (path: string) =
        let itself = FileInfo path

        let target =
            try
                itself.ResolveLinkTarget true |> Option.ofObj |> Ok
            with :? IOException ->
                Error "a link that leads in a circle"

        let info =
            match target with
            | Ok(Some target) -> FileInfo target.FullName
            | _ -> itself

        let problem =
            match target, Option.ofObj (RegularFile.WhyNot path) with
            | Error problem, _ -> Some problem
            | _, Some what -> Some $"expected a file, got {what}"
            | Ok(Some _), None when not info.Exists -> Some "a link to nothing"
            | _ -> None

        {
            Name = name
            Path = path
            Bytes = if problem.IsNone && info.Exists then info.Length else 0L
            ModifiedUtc =
                if problem.IsNone then
                    info.LastWriteTimeUtc
                else
                    DateTime.UnixEpoch
            Problem = problem
        }

    let file root (path: string) =
        fileCalled (Path.GetRelativePath(root, path).Replace('\\', '/')) path

    /// First the first of every group, then the second of every group that has one, and so on: classes stay balanced in
    /// whatever part of the order is taken.
    let interleave (groups: 'item[][]) : 'item[] = [|
        for place in 0 .. (groups |> Array.map _.Length |> Array.fold max 0) - 1 do
            for group in groups do
                if place < group.Length then
                    group[place]
    |]
