/// `dq decode`: a codes file to the pictures its codes stand for.
module DQ.Pipeline.Commands.Decode

open System
open System.IO
open System.Threading.Tasks
open Argu
open DQ.Core.Codes
open DQ.Core.Images
open DQ.Core.Priors
open DQ.Pipeline
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Codes of FILE: string
    | [<Unique>] Run of RUN: string
    | [<Unique>] Checkpoint of FILE: string
    | [<Unique>] Prior of RUN: string
    | [<Unique; AltCommandLine("-o")>] Output of DIR: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Codes _ -> "a file of dq encode: dqc or npz."
            | Run _ -> "id of the run that encoded them (default: the one the file names)."
            | Checkpoint _ -> "a checkpoint file instead of a run."
            | Prior _ -> "run of the prior under which they are coded (default: the one the file names)."
            | Output _ -> "folder for the pictures (default: reconstructions)."

let example = "dq decode photo.dqc -o out"

/// A file of codes in either form, read from its first image to its last.
type private Opened(header: CodesHeader, images: int[][] seq, file: IDisposable) =
    member _.Header = header
    member _.Images = images

    interface IDisposable with
        member _.Dispose() = file.Dispose()

/// Codes that are coded under a prior: the one named, or the one that the file names.
let private coded (place: Workplace) (context: StageContext) (named: string option) (file: string) =
    result {
        let codes = PriorCodesFile.Open file

        match named |> Option.orElse (Option.ofObj (nonNull codes.Header.Prior).Run) with
        | None ->
            codes.Dispose()
            return! Error(Usage $"{file}: does not say under which prior it is coded: give --prior RUN")
        | Some name ->
            match Command.runNamed place name |> Result.bind (fun found -> found ||> Prior.open') with
            | Error error ->
                codes.Dispose()
                return! Error error
            | Ok prior -> return new Opened(codes.Header, codes.Read(prior.Frozen, context.Cancellation), codes)
    }

let private open' (place: Workplace) context prior (file: string) =
    if Option.isSome prior && not (CodesFile.IsCoded file) then
        Error(Usage $"--prior: expected with codes that are coded under one, and {file} has none")
    elif NpzCodes.IsZip file then
        let codes = NpzCodes.Open file
        Ok(new Opened(codes.Header, codes.Read(), codes))
    elif CodesFile.IsCoded file then
        coded place context prior file
    else
        let codes = CodesFile.Open file
        Ok(new Opened(codes.Header, Seq.init codes.Header.Count codes.Read, codes))

let private decode (place: Workplace) (context: StageContext) (arguments: ParseResults<Arguments>) =
    result {
        let file = arguments.GetResult Codes
        let folder = arguments.GetResult(Output, "reconstructions")
        use! codes = open' place context (arguments.TryGetResult Prior) file
        let header = codes.Header

        let! checkpoint, _ =
            match arguments.TryGetResult Run, arguments.TryGetResult Checkpoint, header.Run with
            | None, None, NonNull run -> Command.checkpoint place (Some run) None
            | None, None, Null ->
                Error(Usage $"{file}: does not say which run encoded it: give --run RUN or --checkpoint FILE")
            | run, checkpoint, _ -> Command.checkpoint place run checkpoint

        use! model = Command.model place checkpoint

        match ModelCodes.Mismatch(model, header) with
        | NonNull reason -> return! Error(Data $"{file}: not codes of {checkpoint}: {reason}")
        | Null -> ()

        Directory.CreateDirectory folder |> ignore

        return [
            for image, codes in Seq.indexed codes.Images do
                context.Cancellation.ThrowIfCancellationRequested()

                let target = Reconstruct.target folder (header.Name image)

                let progress share =
                    context.Cancellation.ThrowIfCancellationRequested()
                    PictureFiles.report context.Progress "decode" header.Count image share

                ImageFile.WritePng(target, ModelCodes.Decode(model, header, image, codes, progress))

                target
        ]
    }

let private describe files =
    match files with
    | [] -> "no images\n"
    | [ file ] -> $"{file}\n"
    | first :: rest -> $"{files.Length} pictures, {first} to {List.last rest}\n"

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    Command.inContext place false (fun context -> Task.Run(fun () -> decode place context arguments))
    |> Command.finish (fun files -> place.Output.Result(describe files, {| Pictures = files |}))
