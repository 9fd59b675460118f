/// `dq encode`: images to the codes a model gives them, for another model or another program.
module DQ.Pipeline.Commands.Encode

open System
open System.IO
open System.Threading.Tasks
open Argu
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Codes
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Images of IMAGE: string list
    | [<Unique>] Run of RUN: string
    | [<Unique>] Checkpoint of FILE: string
    | [<Mandatory; Unique; AltCommandLine("-o")>] Output of FILE: string
    | [<Unique>] Format of FORMAT: string
    | [<Unique>] Split of SPLIT: string
    | [<Unique>] Limit of IMAGES: int

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Images _ ->
                "PNG, JPEG or WebP files of any size; or one packed data set: its folder, or a part of its name."
            | Run _ -> "id of a run, or a part of an id that only one run has; its last checkpoint is used."
            | Checkpoint _ -> "a checkpoint file instead of a run."
            | Output _ -> "the file to write."
            | Format _ -> "dqc (default; for dq decode, docs/codes-format.md) or npz (arrays for NumPy)."
            | Split _ -> "of a data set: train (default), validation or test."
            | Limit _ -> "of a data set: at most this many images, the first ones."

let example =
    "dq encode photo.jpg --run quickstart-dq -o photo.dqc\n"
    + "  dq encode cifar10 --split test --run quickstart-dq -o test.npz --format npz"

/// Images of a batch, where they come from a data set.
let private batchSize = 64

/// The images of a data set's split: header, and codes batch by batch.
let private ofDataset (context: StageContext) (arguments: ParseResults<Arguments>) model run folder =
    result {
        let! split =
            PackedSplit.openIn context folder (arguments.TryGetResult Split) (arguments.TryGetResult Limit)

        let images = split.Images

        if images.Channels <> (model: HierarchicalAutoencoder).Spec.ImageChannels then
            return!
                Error(
                    Data
                        $"{folder}: expected images of {model.Spec.ImageChannels} channels for this model, found {images.Channels}"
                )

        let header =
            ModelCodes.Header(model, run, split.Count, [| ImageSize(images.Height, images.Width) |], [||])

        let codes =
            seq {
                for batch in Evaluate.batches context $"encode {split.Name}" images batchSize split.Count do
                    use batch = batch
                    yield! ModelCodes.Encode(model, batch)
            }

        return header, codes
    }

/// Image files, all read before the first is encoded: a wrong name among many costs nothing then.
let private ofFiles (context: StageContext) (model: HierarchicalAutoencoder) run (files: string list) =
    result {
        match
            files
            |> List.countBy Path.GetFileNameWithoutExtension
            |> List.tryFind (fun (_, count) -> count > 1)
        with
        | Some(name, count) ->
            return! Error(Usage $"{count} images are called {name}: codes go by name, so encode them apart")
        | None -> ()

        let pictures = [
            for file in files -> (ImageFile.Read file).WithChannels model.Spec.ImageChannels
        ]

        let sizes = [| for picture in pictures -> ImageSize(picture.Height, picture.Width) |]
        let names = [| for file in files -> nonNull (Path.GetFileName file) |]
        let header = ModelCodes.Header(model, run, names.Length, sizes, names)

        let codes =
            pictures
            |> Seq.map (fun picture ->
                context.Cancellation.ThrowIfCancellationRequested()
                ModelCodes.Encode(model, picture))

        return header, codes
    }

/// Arrays are made from a codes file beside them, so that no more than an image's codes are held.
let private writeNpz (output: string) header codes =
    let between = $"{output}.{Path.GetRandomFileName()}.tmp"

    try
        CodesFile.Write(between, header, codes)
        use file = CodesFile.Open between
        NpzFile.Write(output, file)
    finally
        File.Delete between

let private encode (place: Workplace) (context: StageContext) (arguments: ParseResults<Arguments>) =
    result {
        let output = arguments.GetResult Output

        let! write =
            match arguments.GetResult(Format, "dqc") with
            | "dqc" -> Ok(fun header codes -> CodesFile.Write(output, header, codes))
            | "npz" -> Ok(writeNpz output)
            | other -> Error(Usage $"--format {other}: expected dqc or npz")

        let! checkpoint, run =
            Command.checkpoint place (arguments.TryGetResult Run) (arguments.TryGetResult Checkpoint)

        let! folder = PackedSplit.datasetFolder context.Store (arguments.GetResult Images)
        use! model = Command.model place checkpoint
        let run = Option.toObj run

        let! header, codes =
            match folder with
            | Some folder -> ofDataset context arguments model run folder
            | None ->
                PackedSplit.refuseForFiles (arguments.TryGetResult Split) (arguments.TryGetResult Limit)
                |> Result.bind (fun () -> ofFiles context model run (arguments.GetResult Images))

        write header codes
        return output, header
    }

let private describe (output: string, header: CodesHeader) =
    let codeBytes = Seq.sumBy header.Bytes (seq { 0 .. header.Count - 1 })

    let text =
        Table.render Table.Left [
            [ "file"; output ]
            [ "images"; string header.Count ]
            for level, codes in Seq.indexed header.Levels do
                [
                    $"level {level}"
                    $"{codes.Codebooks} × {codes.CodeCount} codes per {codes.Cell} × {codes.Cell} pixels"
                ]
            [ "codes, bytes"; string codeBytes ]
            [ "file, bytes"; string (FileInfo(output).Length) ]
        ]

    text,
    {|
        File = output
        Images = header.Count
        Levels = header.Levels
        Model = header.Model
        CodeBytes = codeBytes
        FileBytes = FileInfo(output).Length
    |}

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    Command.inContext place false (fun context -> Task.Run(fun () -> encode place context arguments))
    |> Command.finish (fun outcome ->
        let text, data = describe outcome
        place.Output.Result(text, data))
