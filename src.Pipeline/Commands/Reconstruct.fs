/// `dq reconstruct`: pictures of any size through a trained model.
module DQ.Pipeline.Commands.Reconstruct

open System
open System.IO
open System.Threading.Tasks
open Argu
open DQ.Core.Evaluation
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Numbers
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Images of IMAGE: string list
    | [<Unique>] Run of RUN: string
    | [<Unique>] Checkpoint of FILE: string
    | [<Unique; AltCommandLine("-o")>] Output of DIR: string
    | [<Unique>] Max_Pixels of N: int64

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Images _ -> "PNG, JPEG or WebP files of any size, or folders of them."
            | Run _ -> "a run: its name, its id or a part of it, latest or @2; its last checkpoint is used."
            | Checkpoint _ -> "a checkpoint file instead of a run."
            | Output _ -> "folder for the reconstructions (default: reconstructions)."
            | Max_Pixels _ ->
                $"height times width an image may have (default: {ImageFile.DefaultMaxPixels}); looked at before memory is taken."

let example = "dq reconstruct photo.jpg --run quickstart-dq -o out"

/// Where the reconstruction of an image of this name, or path below a folder, goes: never over the image itself.
let target folder (image: string) =
    Path.Combine(folder, nonNull (Path.ChangeExtension(image, null)) + ".reconstruction.png")

/// No picture may replace that of another.
let private distinctTargets folder (images: PictureFiles.PictureFile list) =
    match
        images
        |> List.groupBy (fun image -> target folder image.Below)
        |> List.filter (fun (_, of') -> of'.Length > 1)
    with
    | [] -> Ok()
    | (file, several) :: _ ->
        let names = several |> List.map _.File |> String.concat " and "
        Error(Usage $"{names} would both become {file}: reconstruct them one by one, each with its own --output")

let private describe (image: string) (file: string) (picture: Picture) =
    let optional = optional "F4"

    Table.render Table.Left [
        [ image; $"→ {file}" ]
        [
            "  size"
            $"{picture.Reconstruction.Width} × {picture.Reconstruction.Height}"
        ]
        [ "  reconstruction, nats/dim"; optional picture.ReconstructionNatsPerDim ]
        [ "  reconstruction, bits/dim"; optional picture.ReconstructionBitsPerDim ]
        [
            "  code rate uniform, bits/dim"
            number "F4" picture.CodeRateUniformBitsPerDim
        ]
        [ "  total uniform, bits/dim"; optional picture.TotalUniformBitsPerDim ]
        [ "  codes, bytes"; string picture.CodeBytes ]
        [
            "  lossless, bytes"
            (if picture.LosslessBytes.HasValue then
                 string picture.LosslessBytes.Value
             else
                 "–")
        ]
        [ "  PSNR, dB"; number "F2" picture.PsnrDb ]
    ]

let private data (image: string) (file: string) (picture: Picture) = {|
    Image = image
    Reconstruction = file
    Width = picture.Reconstruction.Width
    Height = picture.Reconstruction.Height
    ReconstructionNatsPerDim = picture.ReconstructionNatsPerDim
    ReconstructionBitsPerDim = picture.ReconstructionBitsPerDim
    CodeRateUniformBitsPerDim = picture.CodeRateUniformBitsPerDim
    TotalUniformBitsPerDim = picture.TotalUniformBitsPerDim
    CodeBytes = picture.CodeBytes
    LosslessBytes = picture.LosslessBytes
    PsnrDb = picture.PsnrDb
|}

let private reconstruct (place: Workplace) (arguments: ParseResults<Arguments>) =
    result {
        let! images = PictureFiles.find (arguments.GetResult Images)
        let folder = arguments.GetResult(Output, "reconstructions")

        let maxPixels =
            arguments.GetResult(Arguments.Max_Pixels, ImageFile.DefaultMaxPixels)

        if maxPixels < 1L then
            return! Error(Usage $"--max-pixels: expected a whole number of at least 1, got {maxPixels}")

        do! distinctTargets folder images

        let! file, _ =
            Command.checkpoint place (arguments.TryGetResult Run) (arguments.TryGetResult Checkpoint)

        use! model = Command.model place file
        let token = place.Interruption.Token

        let make (index, image: PictureFiles.PictureFile) =
            PictureFiles.read image.File maxPixels
            |> Result.map (fun pixels ->
                let progress share =
                    token.ThrowIfCancellationRequested()
                    PictureFiles.report place.Output.Progress "reconstruct" images.Length index share

                let picture =
                    Picture.Of(model, pixels.WithChannels model.Spec.ImageChannels, progress)

                let file = target folder image.Below

                Directory.CreateDirectory(Path.GetDirectoryName file |> nonNull |> string)
                |> ignore

                ImageFile.WritePng(file, picture.Reconstruction)
                image.File, file, picture)

        let results, problems = PictureFiles.each place images make

        let text =
            results
            |> List.map (fun (image, file, picture) -> describe image file picture)
            |> String.concat "\n"

        if not results.IsEmpty && (problems.IsEmpty || not place.Output.Json) then
            place.Output.Result(
                text,
                {|
                    Images = [ for image, file, picture in results -> data image file picture ]
                |}
            )

        do! PictureFiles.leftOut problems
    }

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    place.Output.Watch(fun () -> Task.Run(fun () -> reconstruct place arguments))
