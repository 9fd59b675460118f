/// `dq bench`: how long the parts of training and evaluation take on this machine.
module DQ.Pipeline.Commands.Bench

open System
open System.Threading.Tasks
open Argu
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Images
open DQ.Core.Measurement
open DQ.Core.Native
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Numbers
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling
open TorchSharp

type Arguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | Set of ASSIGNMENT: string
    | Variant of NAME: string
    | [<Unique>] Repetitions of COUNT: int
    | [<Unique>] Run of RUN: string
    | [<Unique>] Checkpoint of FILE: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ -> "configuration file: its model, batch size and images."
            | Set _ -> "KEY=VALUE, which replaces a value of the configuration; may be given several times."
            | Variant _ -> "the variant to measure (default: the first)."
            | Repetitions _ -> "counted runs of each part (default: 20)."
            | Run _ -> "a run whose weights and codebooks to measure with, instead of fresh ones."
            | Checkpoint _ -> "a checkpoint file instead of a run."

let example =
    "dq bench configs/cifar10-small.json --set data.path=cifar-10-batches-bin --json"

/// Different batches, so that codes are chosen as in training.
let private batchCount = 8

let private objective config (checkpoint: string option) (spec: AutoencoderSpec) =
    let freeze = config.Training.Freeze

    match checkpoint with
    | Some file ->
        use stored = DQ.Core.Training.Checkpoint.Open file

        if stored.Spec.ImageChannels = spec.ImageChannels then
            // its weights and codebooks; not every checkpoint has an optimizer's state
            Ok(AutoencoderObjective.StartingFrom(file, stored.Spec, freeze, config.Seed))
        else
            Error(Data $"{file}: expected a model for images of {spec.ImageChannels} channels")
    | None -> Ok(new AutoencoderObjective(spec, freeze, config.Seed))

let private measure (context: StageContext) (variant: Variant) repetitions weights (dataset: Dataset) =
    result {
        let config = variant.Config
        let checkpoint = weights |> Option.map fst
        let! device = Device.ofName context.Device
        let! spec = Train.fitted config dataset

        if Settings.isContextAlone config then
            return!
                Error(
                    Usage
                        $"{Train.title variant}: dq bench takes models with levels apart, this one has none (model.codes)"
                )

        let! objective = objective config checkpoint spec
        use session = new TrainingSession(objective, config.Training, config.Seed, device)
        use! opened = Dataset.open' dataset
        let images = opened.Train.Images

        let augmentation = Augmentation(config.Data.Flip, config.Data.Shift)

        use source =
            new ImageBatches(images, config.Training.BatchSize, config.Seed, augmentation, 0L)

        let batches = [| for _ in 1..batchCount -> source.Next().Pixels |]

        if not session.CodebooksReady then
            session.InitializeCodebooks batches

        let benchmark =
            Benchmark(session, objective.Model, config.Training, batches, device, repetitions)

        let parts = benchmark.Run(fun part -> context.Note $"measuring: {part}")
        context.Note "measuring: input"
        let input = benchmark.Input source

        for batch in batches do
            batch.Dispose()

        return
            BenchmarkRecord(
                Name =
                    (match weights with
                     | None -> Train.title variant
                     | Some(_, Some run) -> run
                     | Some(file, None) -> file),
                Software = context.Software,
                Device = device.ToString(),
                Threads = torch.get_num_threads (),
                BatchSize = config.Training.BatchSize,
                ImageChannels = images.Channels,
                ImageHeight = images.Height,
                ImageWidth = images.Width,
                Parameters = objective.Model.ParameterCount,
                MultiplyAddsPerImage = benchmark.MultiplyAddsPerImage,
                MachinePeaks = PeakRates.Measure device,
                Parts = [| yield! parts; input |],
                PeakResidentBytes = benchmark.PeakResidentBytes,
                ManagedBytesPerStep = benchmark.ManagedBytesPerStep
            )
    }

let private optional scale format =
    orMissing "" (fun value -> number format (value * scale))

let private table (record: BenchmarkRecord) =
    let summary =
        Table.render Table.Left [
            [ "model"; $"{record.Name}, {record.Parameters} parameters" ]
            [
                "batch"
                $"{record.BatchSize} images of {record.ImageChannels} × {record.ImageHeight} × {record.ImageWidth}"
            ]
            [ "device"; $"{record.Device}, {record.Threads} threads" ]
            match CudaKernels.Unavailable with
            | null -> ()
            | reason -> [ "kernels"; $"libtorch's operators instead: {reason}" ]
            [
                "matrix product"
                $"""{number "F1" (record.MachinePeaks.MatrixProductFlopsPerSecond / 1e9)} GFLOP/s"""
            ]
            [
                "convolution"
                $"""{number "F1" (record.MachinePeaks.ConvolutionFlopsPerSecond / 1e9)} GFLOP/s"""
            ]
            [
                "copy"
                $"""{number "F1" (record.MachinePeaks.CopyBytesPerSecond / 1e9)} GB/s"""
            ]
            if record.PeakResidentBytes.HasValue then
                [
                    "peak resident"
                    $"""{number "F0" (float record.PeakResidentBytes.Value / 1e6)} MB"""
                ]
            [
                "managed, per step"
                $"""{number "F1" (float record.ManagedBytesPerStep / 1024.0)} KB"""
            ]
        ]

    let parts =
        Table.render Table.Right [
            [
                "part"
                "median, ms"
                "spread, ms"
                "images/s"
                "of step, %"
                "GFLOP/s"
                "GB/s"
                "growth, MB"
            ]
            for part in record.Parts do
                [
                    part.Name
                    number "F2" (part.MedianSeconds * 1e3)
                    number "F2" (part.SpreadSeconds * 1e3)
                    number "F0" part.ImagesPerSecond
                    optional 100.0 "F1" part.ShareOfStep
                    optional 1e-9 "F1" part.FlopsPerSecond
                    optional 1e-9 "F1" part.BytesPerSecond
                    (if part.PeakGrowthBytes.HasValue then
                         number "F1" (float part.PeakGrowthBytes.Value / 1e6)
                     else
                         "")
                ]
        ]

    $"{summary}\n{parts}"

let private checkedCount name (value: int option) fallback =
    match value with
    | Some count when count < 1 -> Error(Usage $"--{name}: expected an integer of at least 1, got {count}")
    | _ -> Ok(value |> Option.defaultValue fallback)

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    let settings =
        result {
            let! variants =
                Command.variants
                    (arguments.GetResult Config)
                    (arguments.GetResults Set)
                    (arguments.TryGetResult Variant)

            let! repetitions = checkedCount "repetitions" (arguments.TryGetResult Repetitions) 20

            let! checkpoint =
                match arguments.TryGetResult Run, arguments.TryGetResult Checkpoint with
                | None, None -> Ok None
                | run, file -> Command.checkpoint place run file |> Result.map Some

            return List.head variants, repetitions, checkpoint
        }

    task {
        match settings with
        | Error error -> return Error error
        | Ok(variant, repetitions, checkpoint) ->
            return!
                Command.inContext place false (fun context ->
                    taskResult {
                        let! dataset = Stage.run context (Pipelines.packed variant.Config.Data)

                        return!
                            Stage.inBackground context (fun () ->
                                measure context variant repetitions checkpoint dataset)
                    })
                |> Command.finish (fun record -> place.Output.Result(table record, record))
    }
