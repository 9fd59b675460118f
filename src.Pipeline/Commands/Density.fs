/// `dq density`: how well quantizers describe fixed features, cut by channels and by pixels.
module DQ.Pipeline.Commands.Density

open System.Globalization
open System.IO
open Argu
open DQ.Core.Artifacts
open DQ.Core.Features
open DQ.Core.Quantization
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open DQ.Pipeline.Numbers
open DQ.Pipeline.Stages.Density
open FsToolkit.ErrorHandling

type Arguments =
    | [<Unique>] Run of RUN: string
    | [<Unique>] Weights of FILE: string
    | [<Unique>] Level of LEVEL: int
    | [<Unique>] Image_Side of PIXELS: int
    | [<Unique>] Images of COUNT: int
    | [<Unique>] Test_Images of COUNT: int
    | [<Unique>] Codes of K: int list
    | [<Unique>] Seeds of COUNT: int
    | [<Unique>] Steps of COUNT: int
    | [<Unique>] Batch_Size of IMAGES: int
    | [<Unique>] Published
    | [<Unique>] Max_Minutes of MINUTES: float
    | Set of ASSIGNMENT: string
    | Plan
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Run _ -> "the encoder of this trained run."
            | Weights _ -> "torchvision's VGG-16 (vgg16-….pth, or the same as safetensors)."
            | Level _ -> "level of the encoder; 0 is the bottom (default: the top; only with --run)."
            | Image_Side _ ->
                "width and height to resize images to, a multiple of 32 (default: 224; only with --weights)."
            | Images _ -> "training images, the first ones (default: 512)."
            | Test_Images _ -> "images to estimate on, the first ones (default: 256)."
            | Codes _ -> "codes per codebook; several values give several rows (default: 32 1024)."
            | Seeds _ -> "number of trainings of each quantizer (default: 10)."
            | Steps _ -> "updates of the codes (default: 100)."
            | Batch_Size _ -> "images per update (default: 64)."
            | Published -> "start codes from N(0, 1) and revive them as the published implementation does."
            | Max_Minutes _ -> "stop after this many minutes, with exit code 0; the same command continues."
            | Set _ -> "KEY=VALUE of the data, such as data.source=cifar10; may be given several times."
            | Plan -> "only say what would be done."
            | Force -> "do finished work again."

let example =
    "dq density --run cifar10-small-dq\n"
    + "  dq density --weights vgg16-397923af.pth --set data.source=cifar10 --set data.path=cifar-10-batches-bin"

let private defaults: DensityConfig = {
    Images = 512
    TestImages = 256
    Codes = [| 32; 1024 |]
    Seeds = 10
    Steps = 100
    BatchSize = 64
    Quantizer = QuantizerSpec()
}

let private config (arguments: ParseResults<Arguments>) =
    let config = {
        Images = arguments.GetResult(Images, defaults.Images)
        TestImages = arguments.GetResult(Test_Images, defaults.TestImages)
        Codes =
            arguments.TryGetResult Codes
            |> Option.map (List.distinct >> List.toArray)
            |> Option.defaultValue (Seq.toArray defaults.Codes)
        Seeds = arguments.GetResult(Seeds, defaults.Seeds)
        Steps = arguments.GetResult(Steps, defaults.Steps)
        BatchSize = arguments.GetResult(Batch_Size, defaults.BatchSize)
        Quantizer =
            if arguments.Contains Published then
                QuantizerSpec(Initialization = "normal", Revival = "published", DecayWarmup = 1.0)
            else
                defaults.Quantizer
    }

    let counts = [
        "--images", config.Images
        "--test-images", config.TestImages
        "--seeds", config.Seeds
        "--steps", config.Steps
        "--batch-size", config.BatchSize
    ]

    let codes = [ for codes in config.Codes -> "--codes", codes ]

    match counts @ codes |> List.tryFind (fun (_, value) -> value < 1) with
    | Some(option, value) -> Error(Usage $"{option}: expected a whole number of at least 1, got {value}")
    | None -> Ok config

/// `--set` texts, of data only.
let private assignments (arguments: ParseResults<Arguments>) =
    let texts = arguments.GetResults Set

    match texts |> List.tryFind (fun text -> not (text.StartsWith "data.")) with
    | Some text -> Error(Usage $"--set {text}: expected a key of data")
    | None -> Config.assignments texts |> Result.mapError Configuration

let private dataProblems (config: RunConfig) = [
    for problem in DataConfig.problems "" config.Data -> problem.Key, problem.Message
]

/// The data that layers say.
let private data file layers =
    Config.ofLayersChecked dataProblems file layers
    |> Result.map (fun variants -> (List.exactlyOne variants).Config.Data)

/// A network, its own data set where it has one, and the data otherwise.
let private source (place: Workplace) (arguments: ParseResults<Arguments>) sets =
    let refuse option used =
        if used then
            Error(Usage $"{option}: is for the other of --run and --weights")
        else
            Ok()

    match arguments.TryGetResult Run, arguments.TryGetResult Weights with
    | Some _, Some _
    | None, None -> Error(Usage "expected either --run RUN or --weights FILE")
    | None, Some file ->
        result {
            do! refuse "--level" (arguments.Contains Level)
            let side = arguments.GetResult(Image_Side, Vgg16.TrainedSize)

            if side < Vgg16.Shrinkage || side % Vgg16.Shrinkage <> 0 then
                return! Error(Usage $"--image-side: expected a multiple of {Vgg16.Shrinkage}, got {side}")

            if not (File.Exists file) then
                return! Error(Data $"{file}: expected a file of weights, found none")

            if List.isEmpty sets then
                return! Error(Usage "--weights: say which images: --set data.source=cifar10 --set data.path=DIR")

            let! data = data "--set" sets
            return Vgg(file, side), None, data
        }
    | Some id, None ->
        result {
            do! refuse "--image-side" (arguments.Contains Image_Side)
            let! folder, record = Command.runNamed place id
            let! checkpoint = Checkpoints.choose folder "last"
            let config = Config.ofTree record.Config
            let top = config.Model.Levels - 1
            let level = arguments.GetResult(Level, top)

            if level < 0 || level > top then
                return! Error(Usage $"--level: expected 0 to {top} for {record.Id}, got {level}")

            let own = Command.ownDataset record sets

            let recorded: ConfigTree.Layer = {
                File = id
                Prefix = ""
                Tree = record.Config
            }

            let! data =
                if own.IsSome then
                    Ok config.Data
                else
                    data id (recorded :: sets)

            return Encoder(record, checkpoint, level), own, data
        }

let private spread format (spread: Spread) =
    $"{optional format spread.Mean} ± {optional format spread.Deviation}"

let private text (run: EstimatedRun) =
    let density = run.Density

    let head =
        $"{density.Features} ({density.Channels}, {density.Side}, {density.Side}): {density.Side} quantizers of width {density.Width}, {density.Seeds} seeds; "
        + $"learned from {density.TrainImages} images, measured on {density.TestImages} of {density.TestSplit}\n"

    let published (value: float option) =
        match value with
        | Some value -> value.ToString CultureInfo.InvariantCulture
        | None -> "–"

    head
    + Table.render Table.Right [
        [
            "cut by"
            "codes"
            "mean L2 error"
            "squared error"
            "entropy, nats"
            "published error"
            "published entropy"
        ]
        for row in density.Rows do
            let known = Option.ofObj row.Published

            [
                row.Slicing
                string row.Codes
                spread "G3" row.MeanL2Error
                spread "G3" row.MeanSquaredError
                spread "F3" row.EntropyNats
                published (known |> Option.map _.Error)
                published (known |> Option.map _.Entropy)
            ]
    ]
    + "published: VGG-16 on ImageNet; what its error is a mean over is not said\n"

let private show (place: Workplace) (run: EstimatedRun) =
    place.Output.Result(
        text run + Path.Combine(run.Folder, RunLayout.Density) + "\n",
        {|
            Run = run.Record.Id
            Folder = run.Folder
            Density = run.Density
        |}
    )

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    taskResult {
        let! config = config arguments
        let! sets = assignments arguments
        let! network, own, data = source place arguments sets

        let pipeline =
            Pipelines.density own {
                Network = network
                Data = data
                Config = config
            }

        if arguments.Contains Plan then
            return! PlannedSteps.show place pipeline
        else
            return!
                Command.inContext place (arguments.Contains Force) (fun context -> Stage.run context pipeline)
                |> Command.finish (show place)
    }
