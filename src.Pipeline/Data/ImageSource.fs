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
    /// Class of each image; None if the source has no classes.
    Labels: int[] option
    /// Name of an image in messages.
    Name: int -> string
    /// An image at its own size. An exception describes any problem of its file. Called from several threads.
    Read: int -> PixelImage
}

/// A file of the source, for the fingerprint.
type SourceFile = {
    /// Path inside the source, with forward slashes.
    Name: string
    Path: string
    Bytes: int64
    ModifiedUtc: DateTime
    /// The reason why it is not read: a pipe, or a link to nothing. None for a regular file.
    Problem: string option
}

/// The images of a source in any format.
type ImageSource = {
    /// Class names by label; empty without classes.
    ClassNames: string list
    /// Channels, height and width if all images of the source have one shape.
    Shape: (int * int * int) option
    Train: SourceSplit
    Validation: SourceSplit option
    Test: SourceSplit option
    /// Files of the source; empty for procedural images.
    Files: SourceFile list
    /// Possible images that belong to no split; they are counted like images that can't be decoded.
    LeftOut: CorruptImage list
    /// Files that are no images and were left alone.
    OtherFiles: int
    /// Notes on the source for the user, one line each.
    Notes: string list
    /// Name and version of the procedure that draws the images.
    Generator: string option
    Close: unit -> unit
}

module ImageSource =
    let firstLine (message: string) = (message.Split '\n')[0]

    /// All files of a source are read through this guard: any error of one file becomes a problem of this file, in
    /// words.
    let attempt (read: unit -> 'value) : Result<'value, string> =
        try
            Ok(read ())
        with
        | :? OperationCanceledException -> reraise ()
        | :? InvalidDataException
        | :? IOException
        | :? UnauthorizedAccessException as problem -> Error(firstLine problem.Message)
        | problem -> Error $"{problem.GetType().Name}: {firstLine problem.Message}"

    /// Runs an action on a source as a whole; errors of its files become data errors.
    let guard (path: string) (work: unit -> Result<'value, StageError>) =
        try
            work ()
        with
        | :? WeightsException
        | :? InvalidDataException as problem -> Error(Data $"{path}: {problem.Message}")
        | :? IOException
        | :? UnauthorizedAccessException as problem -> Error(Data $"{path}: can't be read: {problem.Message}")

    /// A file under this name. An entry that is not a regular file gets a problem and is never opened.
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

    /// First the first of every group, then the second of every group that has one, and so on: so classes are balanced
    /// in every beginning of the order.
    let interleave (groups: 'item[][]) : 'item[] = [|
        for place in 0 .. (groups |> Array.map _.Length |> Array.fold max 0) - 1 do
            for group in groups do
                if place < group.Length then
                    group[place]
    |]
