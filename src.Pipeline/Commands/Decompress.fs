/// `dq decompress`: a lossless file to its pictures.
module DQ.Pipeline.Commands.Decompress

open System
open System.IO
open Argu
open DQ.Core
open DQ.Core.Coding
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] File of FILE: string
    | [<Mandatory; Unique; AltCommandLine("-o")>] Output of DIR: string
    | [<Unique>] Run of RUN: string
    | Model of FILE: string
    | [<Unique>] Max_Pixels of N: int64

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | File _ -> "a file of dq compress."
            | Output _ -> "folder for the pictures, as PNG."
            | Run _ ->
                "a run of a context head alone (model.codes: []): its name, its id or a part of it, latest or @2; its last checkpoint, frozen, is the model."
            | Model _ -> "a frozen model that made the file, where that is neither in it nor built in."
            | Max_Pixels _ ->
                $"height times width a picture may have (default: {ImageFile.DefaultMaxPixels}); looked at before memory is taken."

let example = "dq decompress photo.dqz -o out"

/// Where a picture goes, inside the folder: its name, with .png behind it unless that is there; or its number.
let private target (file: string) (count: int) (number: int) (entry: LosslessEntry) : Result<string, StageError> =
    match entry.Name with
    | Null ->
        let digits = (string (count - 1)).Length
        Ok $"{number.ToString().PadLeft(digits, '0')}.png"
    | NonNull name ->
        let parts = name.Split '/'

        let isSafe =
            name.Length <= 4096
            && name |> Seq.forall (fun letter -> not (Char.IsControl letter) && letter <> '\\')
            && parts |> Array.forall (fun part -> part <> "" && part <> "." && part <> "..")
            && not (Path.IsPathRooted name || (parts[0]).EndsWith ':')

        if not isSafe then
            Error(Data $"{file}: expected a name inside the folder, got '{name}'")
        elif name.EndsWith(".png", StringComparison.OrdinalIgnoreCase) then
            Ok name
        else
            Ok $"{name}.png"

let private targets (file: string) (opened: LosslessFile) =
    result {
        let! names =
            opened.Entries
            |> Seq.mapi (target file opened.Entries.Count)
            |> List.ofSeq
            |> List.sequenceResultM

        match names |> List.countBy id |> List.tryFind (fun (_, count) -> count > 1) with
        | Some(name, _) -> return! Error(Data $"{file}: expected names that differ, got '{name}' more than once")
        | None -> return Array.ofList names
    }

let private decompress (place: Workplace) (context: StageContext) (arguments: ParseResults<Arguments>) =
    result {
        let file = arguments.GetResult File
        let folder = arguments.GetResult Output
        let! threads = LosslessModels.threads place
        let! ofRun = LosslessModels.ofRun place (arguments.TryGetResult Run)
        let! ofFiles = LosslessModels.ofFiles (arguments.GetResults Model)

        use opened =
            LosslessFile.Open(file, arguments.GetResult(Arguments.Max_Pixels, ImageFile.DefaultMaxPixels))

        let models = opened.Resolve(ofRun @ ofFiles @ LosslessModels.builtIn)
        let! names = targets file opened
        let mutable completed = 0
        let damaged = ResizeArray<string>()

        for struct (number, picture) in
            opened.ReadUndamaged(models, threads, (fun damage -> damaged.Add damage.Message), context.Cancellation) do
            context.Cancellation.ThrowIfCancellationRequested()
            let path = Path.Combine(folder, names[number])
            Directory.CreateDirectory(nonNull (Path.GetDirectoryName path)) |> ignore

            let png =
                ImageFile.EncodePng(StoredImage(picture.Colors, picture.Alpha, picture.Profile))

            AtomicFile.Write(path, (fun stream -> stream.Write(ReadOnlySpan png)))

            match Option.ofNullable picture.ModifiedTicks with
            | Some ticks -> IO.File.SetLastWriteTimeUtc(path, DateTime(ticks, DateTimeKind.Utc))
            | None -> ()

            completed <- completed + 1
            LosslessModels.progress context "decompress" names.Length completed

        if damaged.Count > 0 then
            // a line for each damaged chunk; the last says what is left
            let last = damaged.Count - 1
            damaged[last] <- $"{damaged[last]}; {completed} of {names.Length} pictures are whole and written"
            return! Error(Several(List.ofSeq damaged, StageError.exitCode (Data "")))

        return folder, names
    }

let private describe (folder: string) (names: string[]) =
    match names with
    | [||] -> "no pictures\n"
    | [| single |] -> $"{Path.Combine(folder, single)}\n"
    | _ -> $"{names.Length} pictures in {folder}, {names[0]} to {Array.last names}\n"

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    Command.inContext place false (fun context ->
        Stage.inBackground context (fun () -> decompress place context arguments))
    |> Command.finish (fun (folder, names) ->
        place.Output.Result(describe folder names, {| Folder = folder; Pictures = names |}))
