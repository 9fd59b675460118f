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
open DQ.Core.Priors
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
    | [<Unique>] Prior of RUN: string
    | [<Mandatory; Unique; AltCommandLine("-o")>] Output of FILE: string
    | [<Unique>] Format of FORMAT: string
    | [<Unique>] Split of SPLIT: string
    | [<Unique>] Limit of IMAGES: int

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Images _ ->
                "PNG, JPEG or WebP files of any size, or folders of them; or one packed data set: its folder, or a part of its name."
            | Run _ -> "a run: its name, its id or a part of it, latest or @2; its last checkpoint is used."
            | Checkpoint _ -> "a checkpoint file instead of a run."
            | Prior _ -> "a run of dq prior, under which codes are coded; its model is used if no other is named."
            | Output _ -> "the file to write."
            | Format _ -> "dqc (default; for dq decode, docs/codes-format.md) or npz (arrays for NumPy)."
            | Split _ -> "of a data set: train (default), validation or test."
            | Limit _ -> "of a data set: at most this many images, the first ones."

let example =
    "dq encode photo.jpg --run quickstart-dq -o photo.dqc\n"
    + "  dq encode cifar10 --split test --run quickstart-dq -o test.npz --format npz\n"
    + "  dq encode cifar10 --split test --prior prior-quickstart-dq -o test.dqc"

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

        return header, codes, []
    }

/// Image files. Their sizes come before their codes in the file, so each is read twice; what can't be read is left out.
let private ofFiles (place: Workplace) (model: HierarchicalAutoencoder) run (inputs: string list) =
    result {
        let! files = PictureFiles.find inputs

        match
            files
            |> List.countBy (fun file -> Path.GetFileNameWithoutExtension file.File)
            |> List.tryFind (fun (_, count) -> count > 1)
        with
        | Some(name, count) ->
            return! Error(Usage $"{count} images are called {name}: codes go by name, so encode them apart")
        | None -> ()

        let pixels (file: PictureFiles.PictureFile) =
            PictureFiles.read file.File ImageFile.DefaultMaxPixels

        let readable, problems =
            PictureFiles.each place files (fun (_, file) ->
                pixels file
                |> Result.map (fun picture -> file, ImageSize(picture.Height, picture.Width)))

        if readable.IsEmpty then
            do! PictureFiles.leftOut problems

        let names = [| for file, _ in readable -> nonNull (Path.GetFileName file.File) |]

        let header =
            ModelCodes.Header(model, run, names.Length, [| for _, size in readable -> size |], names)

        let token = place.Interruption.Token

        let encode index (file: PictureFiles.PictureFile, size: ImageSize) =
            let progress share =
                token.ThrowIfCancellationRequested()
                PictureFiles.report place.Output.Progress "encode" names.Length index share

            match pixels file with
            | Ok picture when ImageSize(picture.Height, picture.Width) = size ->
                ModelCodes.Encode(model, picture.WithChannels model.Spec.ImageChannels, progress)
            | Ok _ -> raise (InvalidDataException $"{file.File}: changed while it was encoded")
            | Error problem -> raise (InvalidDataException problem)

        return header, Seq.mapi encode readable, problems
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

let private withPrior (prior: Prior.OpenPrior option) (header: CodesHeader) =
    match prior with
    | None -> header
    | Some prior -> header.Under(CodesPrior(prior.Frozen.Fingerprint, prior.Run.Record.Id))

/// How the codes are written, and the prior if they are coded under one.
let private writer (place: Workplace) (context: StageContext) (arguments: ParseResults<Arguments>) output =
    match arguments.GetResult(Format, "dqc"), arguments.TryGetResult Prior with
    | "dqc", None -> Ok((fun header codes -> CodesFile.Write(output, header, codes)), None)
    | "dqc", Some name ->
        result {
            let! folder, record = Command.runNamed place name
            let! prior = Prior.open' folder record

            let write (header: CodesHeader) codes =
                PriorCodesFile.Write(output, header, prior.Frozen, codes, context.Cancellation)

            return write, Some prior
        }
    | "npz", None -> Ok(writeNpz output, None)
    | "npz", Some _ -> Error(Usage "--format npz: expected dqc: arrays are not coded under a prior")
    | other, _ -> Error(Usage $"--format {other}: expected dqc or npz")

let private encode (place: Workplace) (context: StageContext) (arguments: ParseResults<Arguments>) =
    result {
        let output = arguments.GetResult Output
        do! Command.refuseInput output (arguments.GetResult Images)

        let! write, prior = writer place context arguments output

        let! checkpoint, run =
            match arguments.TryGetResult Run, arguments.TryGetResult Checkpoint, prior with
            | None, None, Some prior -> Command.checkpoint place (Some prior.Run.Prior.Autoencoder) None
            | run, checkpoint, _ -> Command.checkpoint place run checkpoint

        let! folder = PackedSplit.datasetFolder context.Store (arguments.GetResult Images)
        use! model = Command.model place checkpoint
        let run = Option.toObj run

        match prior with
        | Some prior -> do! Prior.ofModel prior model
        | None -> ()

        let! header, codes, problems =
            match folder with
            | Some folder -> ofDataset context arguments model run folder
            | None ->
                PackedSplit.refuseForFiles (arguments.TryGetResult Split) (arguments.TryGetResult Limit)
                |> Result.bind (fun () -> ofFiles place model run (arguments.GetResult Images))

        write (withPrior prior header) codes
        // what was written is whole; that it lacks some files is an error all the same
        do! PictureFiles.leftOut problems
        return output, withPrior prior header
    }

let private describe (output: string, header: CodesHeader) =
    let fileBytes = FileInfo(output).Length

    let codeBytes =
        if isNull header.Prior then
            Seq.sumBy header.Bytes (seq { 0 .. header.Count - 1 })
        else
            fileBytes - CodesFile.HeaderBytes header

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
            [ "file, bytes"; string fileBytes ]
        ]

    text,
    {|
        File = output
        Images = header.Count
        Levels = header.Levels
        Model = header.Model
        CodeBytes = codeBytes
        Prior = header.Prior
        FileBytes = fileBytes
    |}

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    Command.inContext place false (fun context -> Task.Run(fun () -> encode place context arguments))
    |> Command.finish (fun outcome ->
        let text, data = describe outcome
        place.Output.Result(text, data))
