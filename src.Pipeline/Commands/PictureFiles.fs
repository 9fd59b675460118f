/// The pictures that a command line names: files, and all images below folders.
module DQ.Pipeline.Commands.PictureFiles

open System.IO
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Data

/// A picture's file, and its path below the folder that was named; for a file that was named itself its name.
type PictureFile = { File: string; Below: string }

/// All of them in the order they were named; folders in the order of a walk. An error names what holds no image.
let find (inputs: string list) : Result<PictureFile list, StageError> =
    let ofFolder (folder: string) = [
        for file in (FolderWalk.walk folder).Files do
            if FileTree.isImage file.Name then
                { File = file.Path; Below = file.Name }
    ]

    let empty =
        inputs
        |> List.tryFind (fun input -> Directory.Exists input && (ofFolder input).IsEmpty)

    match empty with
    | Some folder -> Error(Data $"{folder}: expected images (PNG, JPEG, WebP) in this folder, found none")
    | None ->
        Ok [
            for input in inputs do
                if Directory.Exists input then
                    yield! ofFolder input
                else
                    {
                        File = input
                        Below = string (Path.GetFileName input)
                    }
        ]

/// The outcome of reading a picture; a file that can't be read is its own problem and not the others'.
let attempt (read: unit -> 'a) : Result<'a, string> =
    try
        Ok(read ())
    with error ->
        match Stage.expected (fun () -> Interrupted 2) error with
        | Some problem -> Error(StageError.lines problem |> String.concat "; ")
        | None -> reraise ()

/// Reads a picture.
let read (file: string) (maxPixels: int64) : Result<PixelImage, string> =
    attempt (fun () -> ImageFile.Read(file, maxPixels))

/// The work on each picture in turn; what can't be done on one does not stop the others, and is an error in the end.
let each (place: DQ.Pipeline.Host.Workplace) (files: PictureFile list) (work: int * PictureFile -> Result<'a, string>) =
    let outcomes = [
        for index, file in List.indexed files do
            place.Interruption.Token.ThrowIfCancellationRequested()

            match work (index, file) with
            | Ok outcome -> Choice1Of2 outcome
            | Error problem ->
                // one alone is said at the end
                if files.Length > 1 then
                    place.Output.Note $"{file.File}: left out"

                Choice2Of2 problem
    ]

    outcomes
    |> List.choose (function
        | Choice1Of2 outcome -> Some outcome
        | Choice2Of2 _ -> None),
    outcomes
    |> List.choose (function
        | Choice1Of2 _ -> None
        | Choice2Of2 problem -> Some problem)

/// An error of the files that could not be used, a line each; none where all could.
let leftOut (problems: string list) : Result<unit, StageError> =
    match problems with
    | [] -> Ok()
    | problems -> Error(Several(problems, StageError.exitCode (Data "")))

/// Progress of one picture among others: a share, up to 1.
let report (context: Report -> unit) title (count: int) (index: int) (share: float) =
    context (Report.counted title "%" (int64 ((float index + share) * 100.0 / float count)) 100L)
