/// `dq sample`: pictures drawn from a prior.
module DQ.Pipeline.Commands.Sample

open System.IO
open System.Threading.Tasks
open Argu
open DQ.Core.Images
open DQ.Core.Priors
open DQ.Pipeline
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Prior of RUN: string
    | [<Unique>] Count of N: int
    | [<Unique>] Seed of N: int64
    | [<Unique>] Temperature of T: float
    | [<Unique>] Pixels of PIXELS: string
    | [<Unique>] Columns of N: int
    | [<Unique>] Zoom of N: int
    | [<Mandatory; Unique; AltCommandLine("-o")>] Output of FILE: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Prior _ -> "a run of dq prior."
            | Count _ -> "pictures to draw (default: 64)."
            | Seed _ -> "of all random choices (default: 0); the same seed gives the same codes on every machine."
            | Temperature _ -> "1 (default) draws from the prior itself; less prefers likely codes."
            | Pixels _ ->
                "mean (default): the expected pixels of the codes; or sample: pixels drawn from the likelihood."
            | Columns _ -> "pictures in a row of the sheet (default: 8)."
            | Zoom _ -> "factor by which pictures are enlarged (default: 2)."
            | Output _ -> "the PNG file to write, one sheet with all pictures."

let example = "dq sample prior-cifar10-small-dq --count 64 -o samples.png"

/// The largest sheet has this many pictures: more are several sheets, with other seeds.
let private mostPictures = 4096

/// Of a PNG file, whose library reads no larger ones.
let private mostSide = 32768L

let private positive option most value =
    if value < 1 || value > most then
        Error(Usage $"{option}: expected a whole number from 1 to {most}, got {value}")
    else
        Ok value

let private draw (place: Workplace) (context: StageContext) (arguments: ParseResults<Arguments>) =
    result {
        let! count = positive "--count" mostPictures (arguments.GetResult(Count, 64))
        let! columns = positive "--columns" mostPictures (arguments.GetResult(Columns, 8))
        let! zoom = positive "--zoom" 16 (arguments.GetResult(Zoom, 2))
        let temperature = arguments.GetResult(Temperature, 1.0)
        let least = PriorCoder.LeastTemperature

        if not (temperature >= least && temperature <= 1.0 / least) then
            return! Error(Usage $"--temperature: expected a number from {least} to {1.0 / least}, got {temperature}")

        let seed = arguments.GetResult(Seed, 0L)

        let! pixelSeed =
            match arguments.GetResult(Pixels, "mean") with
            | "mean" -> Ok None
            | "sample" -> Ok(Some seed)
            | other -> Error(Usage $"--pixels {other}: expected mean or sample")

        let! folder, record = Command.runNamed place (arguments.GetResult Prior)
        let! prior = Prior.open' folder record
        let facts = prior.Run.Prior
        let! autoencoder, _ = Command.runNamed place facts.Autoencoder

        let! model =
            Command.model
                place
                (Path.Combine(autoencoder, DQ.Core.Artifacts.RunLayout.Checkpoints, facts.AutoencoderCheckpoint))

        use model = model
        do! Prior.ofModel prior model

        if pixelSeed.IsSome && not (isNull model.Context) then
            return!
                Error(
                    Usage "--pixels sample: expected mean: the pixels of a model with a context head are not drawn yet"
                )

        let side pictures size =
            int64 pictures * int64 (size + 2) * int64 zoom // more than the lines between pictures take

        let width = side (min count columns) facts.ImageWidth
        let height = side ((count + columns - 1) / columns) facts.ImageHeight

        if max width height > mostSide || width * height > ImageFile.DefaultMaxPixels then
            return!
                Error(
                    Usage
                        $"--count, --columns and --zoom: expected a sheet of at most {mostSide} pixels a side and {ImageFile.DefaultMaxPixels} in all, got about {width} × {height}"
                )

        let grids = [|
            for grid in model.Spec.Grids(facts.ImageHeight, facts.ImageWidth) -> struct (grid.Height, grid.Width)
        |]

        let codes =
            PriorCoder.Sample(prior.Frozen, grids, count, seed, temperature, context.Cancellation)

        let pictures =
            PriorSamples.Draw(
                model,
                codes,
                facts.ImageHeight,
                facts.ImageWidth,
                Option.toNullable pixelSeed,
                context.Cancellation
            )

        let output = arguments.GetResult Output
        ImageFile.WritePng(output, ImageGrid.Tile(pictures, columns, zoom = zoom))
        return output, record.Id, count, seed, temperature
    }

let private describe (file: string, run: string, count: int, seed: int64, temperature: float) =
    $"{file}: {count} pictures from {run}\n",
    {|
        File = file
        Run = run
        Count = count
        Seed = seed
        Temperature = temperature
    |}

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    Command.inContext place false (fun context -> Task.Run(fun () -> draw place context arguments))
    |> Command.finish (fun drawn -> place.Output.Result(describe drawn))
