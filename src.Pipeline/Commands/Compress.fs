/// `dq compress`: pictures to one lossless file.
module DQ.Pipeline.Commands.Compress

open System
open System.Diagnostics
open System.IO
open Argu
open DQ.Core
open DQ.Core.Coding
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Data
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Images of IMAGE: string list
    | [<Mandatory; Unique; AltCommandLine("-o")>] Output of FILE: string
    | [<Unique>] Run of RUN: string
    | Model of FILE: string
    | [<Unique>] With_Model
    | [<Unique>] Check
    | [<Unique>] Split of SPLIT: string
    | [<Unique>] Limit of IMAGES: int
    | [<Unique>] Max_Pixels of N: int64

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Images _ ->
                "PNG, JPEG or WebP files of any size, folders and zips of them; or one packed data set: its folder, or a part of its name."
            | Output _ -> "the file to write."
            | Run _ ->
                "a run of a context head alone (model.codes: []): its name, its id or a part of it, latest or @2; its last checkpoint, frozen, is the model."
            | Model _ ->
                "a frozen model instead of the built-in one for its number of channels; once for color, once for gray."
            | With_Model -> "put the models into the file, so that it stands alone."
            | Check -> "decode the file and compare it with the pictures."
            | Split _ -> "of a data set: train (default), validation or test."
            | Limit _ -> "of a data set: at most this many images, the first ones."
            | Max_Pixels _ ->
                $"height times width an image may have (default: {ImageFile.DefaultMaxPixels}); looked at before memory is taken."

let example =
    "dq compress photo.png -o photo.dqz --check\n"
    + "  dq compress cifar10 --split test -o test.dqz"

/// A picture to come: what messages call it, and how it is read.
type private Source = {
    Label: string
    Read: unit -> LosslessPicture
}

let private stored maxPixels (name: string) (modified: DateTime option) (content: byte[]) =
    let image = ImageFile.DecodeStored(content, maxPixels)

    LosslessPicture(name, image.Colors, image.Alpha, modified |> Option.map _.Ticks |> Option.toNullable, image.Profile)

/// Errors of a file, with its name before them.
let private named (label: string) (read: unit -> 'a) =
    try
        read ()
    with :? InvalidDataException as problem ->
        raise (InvalidDataException($"{label}: {problem.Message}", problem))

let private ofFile maxPixels (file: string) = {
    Label = file
    Read =
        fun () ->
            named file (fun () ->
                RegularFile.ReadAllBytes(file, ImageFile.MostBytes maxPixels)
                |> stored maxPixels (nonNull (Path.GetFileName file)) (Some(File.GetLastWriteTimeUtc file)))
}

let private ofTree maxPixels (tree: FileTree) = [
    let times = dict [ for file in tree.Origins -> file.Name, file.ModifiedUtc ]

    for name in tree.Files do
        if FileTree.isImage name then
            let modified =
                match times.TryGetValue name with
                | true, time -> Some time
                | _ -> None

            {
                Label = $"{tree.Root}/{name}"
                Read =
                    fun () ->
                        named $"{tree.Root}/{name}" (fun () ->
                            tree.Read (ImageFile.MostBytes maxPixels) name |> stored maxPixels name modified)
            }
]

/// The pictures of files, folders and zips, none of them read yet, and what closes them.
let private ofPaths maxPixels (paths: string list) =
    result {
        let! trees =
            paths
            |> List.traverseResultM (fun path ->
                if Directory.Exists path || FileTree.isZip path then
                    FileTree.open' path |> Result.map (fun tree -> path, Some tree)
                elif File.Exists path then
                    Ok(path, None)
                else
                    Error(Data $"{path}: expected an image, a folder or a zip, found nothing there"))

        let sources = [
            for path, tree in trees do
                match tree with
                | Some tree -> yield! ofTree maxPixels tree
                | None -> ofFile maxPixels path
        ]

        let close () =
            for _, tree in trees do
                tree |> Option.iter _.Close()

        if sources.IsEmpty then
            close ()
            let places = String.concat ", " paths
            return! Error(Data $"{places}: expected images, found none")

        return sources, close
    }

/// The images of a packed data set: numbered, without names.
let private ofDataset (context: StageContext) (arguments: ParseResults<Arguments>) folder =
    result {
        let! split =
            PackedSplit.openIn context folder (arguments.TryGetResult Split) (arguments.TryGetResult Limit)

        let images = split.Images

        let read index =
            let pixels =
                PixelImage(images[index].ToArray(), images.Channels, images.Height, images.Width)

            LosslessPicture(null, pixels, null, Nullable(), null)

        let sources = [
            for index in 0 .. split.Count - 1 ->
                {
                    Label = $"{folder}, {split.Name} {index}"
                    Read = fun () -> read index
                }
        ]

        return sources, (split.Set :> IDisposable).Dispose
    }

/// Writes the pictures that can be read, and returns the others' problems. Nothing is written where none can.
let private write (context: StageContext) output models withModel threads (sources: Source list) =
    let names = Collections.Generic.HashSet<string>()
    let kept, problems = ResizeArray<Source>(), ResizeArray<string>()

    AtomicFile.Write(
        output,
        fun stream ->
            let writer =
                LosslessWriter(stream, models, withModel, threads, context.Cancellation)

            try
                for index, source in Seq.indexed sources do
                    context.Cancellation.ThrowIfCancellationRequested()

                    match PictureFiles.attempt source.Read with
                    | Error problem -> problems.Add problem
                    | Ok picture ->
                        match picture.Name with
                        | NonNull name when not (names.Add name) ->
                            raise (
                                InvalidDataException
                                    $"{source.Label}: another picture is called {name}: compress them apart, or name the folder of both"
                            )
                        | _ -> ()

                        named source.Label (fun () -> writer.Add picture)
                        kept.Add source

                    LosslessModels.progress context "compress" sources.Length (index + 1)

                if kept.Count = 0 then
                    raise (InvalidDataException(String.Join("; ", problems)))

                writer.Finish()
            finally
                writer.Abandon()
    )

    List.ofSeq kept, List.ofSeq problems

let private same (one: PixelImage | null) (other: PixelImage | null) =
    match one, other with
    | Null, Null -> true
    | NonNull one, NonNull other ->
        (one.Width, one.Height, one.Channels) = (other.Width, other.Height, other.Channels)
        && one.Bytes.AsSpan().SequenceEqual(ReadOnlySpan other.Bytes)
    | _ -> false

/// Decodes the file and compares it with the pictures, which are read again.
let private check (context: StageContext) output models threads (sources: Source list) =
    use file = LosslessFile.Open(output, Int64.MaxValue)
    let sources = Array.ofList sources

    let differing = [
        for index, struct (number, picture) in Seq.indexed (file.Read(models, threads, context.Cancellation)) do
            let original = sources[number].Read()
            LosslessModels.progress context "check" sources.Length (index + 1)

            if not (same picture.Colors original.Colors && same picture.Alpha original.Alpha) then
                sources[number].Label
    ]

    match differing with
    | [] -> Ok()
    | first :: _ -> Error(CheckFailed $"{output}: {first} does not come out as it went in; please report it")

let private compress (place: Workplace) (context: StageContext) (arguments: ParseResults<Arguments>) =
    result {
        let output = arguments.GetResult Output

        let maxPixels =
            arguments.GetResult(Arguments.Max_Pixels, ImageFile.DefaultMaxPixels)

        let! threads = LosslessModels.threads place
        let! ofRun = LosslessModels.ofRun place (arguments.TryGetResult Run)
        let! ofFiles = LosslessModels.ofFiles (arguments.GetResults Model)
        let models = LosslessModels.select (ofRun @ ofFiles @ LosslessModels.builtIn)
        let inputs = arguments.GetResult Images
        do! Command.refuseInput output inputs

        let! folder =
            match inputs with
            | [ single ] when FileTree.isZip single || File.Exists single -> Ok None
            | _ -> PackedSplit.datasetFolder context.Store inputs

        let! sources, close =
            match folder with
            | Some folder -> ofDataset context arguments folder
            | None ->
                PackedSplit.refuseForFiles (arguments.TryGetResult Split) (arguments.TryGetResult Limit)
                |> Result.bind (fun () -> ofPaths maxPixels inputs)

        try
            let clock = Stopwatch.StartNew()

            let kept, problems =
                write context output models (arguments.Contains With_Model) threads sources

            let seconds = clock.Elapsed.TotalSeconds

            if arguments.Contains Check then
                do! check context output models threads kept

            // what was written is whole; that it lacks some files is an error all the same
            do! PictureFiles.leftOut problems
            use opened = LosslessFile.Open(output, Int64.MaxValue)
            return LosslessModels.describe output (Some seconds) opened
        finally
            close ()
    }

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    Command.inContext place false (fun context ->
        Stage.inBackground context (fun () -> compress place context arguments))
    |> Command.finish (fun (text, data) -> place.Output.Result(text, data))
