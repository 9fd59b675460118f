/// How long a training step takes here, from a few of them on images of noise.
module DQ.Pipeline.Commands.StepTime

open System.Diagnostics
open DQ.Core.Autoencoders
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open FsToolkit.ErrorHandling
open TorchSharp

/// The first ones also make what later ones find made.
let private warm, timed = 2, 5

/// Seconds of a step, the median of a few.
let seconds
    (deviceName: string)
    (config: RunConfig)
    (channels: int, height: int, width: int)
    : Result<float, StageError> =
    result {
        let! device = Device.ofName deviceName
        use _ = torch.NewDisposeScope()

        let objective =
            new AutoencoderObjective(config.Model.ForImages channels, config.Training.Freeze, config.Seed)

        use session = new TrainingSession(objective, config.Training, config.Seed, device)

        let batch () =
            torch.randint (0L, 256L, [| int64 config.Training.BatchSize; channels; height; width |], torch.uint8)

        // any codes do, but there have to be some
        session.InitializeCodebooks [| batch () |]

        for _ in 1..warm do
            session.Step(batch ()) |> ignore

        let times = [
            for _ in 1..timed do
                let pixels = batch ()
                let watch = Stopwatch.StartNew()
                session.Step pixels |> ignore
                watch.Elapsed.TotalSeconds
        ]

        return times |> List.sort |> List.item (timed / 2)
    }
