/// `dq find-rate`: which learning rates a model can be trained with.
module DQ.Pipeline.Commands.FindRate

open System.Text
open Argu
open DQ.Core
open DQ.Core.Parallel
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Data
open DQ.Pipeline.Numbers
open DQ.Pipeline.Stages
open DQ.Pipeline.Training
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | Set of ASSIGNMENT: string
    | [<Unique>] Variant of NAME: string
    | [<Unique>] From of RATE: float
    | [<Unique>] To of RATE: float
    | [<Unique>] Steps of N: int
    | [<Unique; AltCommandLine("-o")>] Output of FILE: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ -> "configuration file (JSON with comments)."
            | Set _ -> "KEY=VALUE, which replaces a value of the configuration; may be given several times."
            | Variant _ -> "only this variant of the configuration."
            | From _ -> "learning rate of the first step (default: 1e-6)."
            | To _ -> "learning rate of the last step (default: 1)."
            | Steps _ -> "steps, with a rate that grows by the same factor each time (default: 100)."
            | Output _ -> "a CSV file for the curve: step, learning rate, loss, smoothed loss, per variant."

let example = "dq find-rate configs/quickstart.json --variant dq -o rates.csv"

/// Rows of the table; the JSON and the CSV have every step.
let private shownPoints = 15

let private checkedAsk (arguments: ParseResults<Arguments>) : Result<RateTest.Ask, StageError> =
    let ask: RateTest.Ask = {
        From = arguments.GetResult(From, 1e-6)
        To = arguments.GetResult(To, 1.0)
        Steps = arguments.GetResult(Steps, 100)
    }

    if not (ask.From > 0.0 && System.Double.IsFinite ask.From) then
        Error(Usage $"--from: expected a number above 0, got {ask.From}")
    elif not (ask.To > ask.From && System.Double.IsFinite ask.To) then
        Error(Usage $"--to: expected a number above --from ({ask.From}), got {ask.To}")
    elif ask.Steps < 2 || ask.Steps > 100_000 then
        Error(Usage $"--steps: expected a number from 2 to 100000, got {ask.Steps}")
    else
        Ok ask

/// The rate is the test's own, and no step is left out.
let private underTest (ask: RateTest.Ask) (variant: Variant) = {
    variant with
        Config.Training = variant.Config.Training.UnderRate(ask.From)
}

let private curve (ask: RateTest.Ask) (context: StageContext) (variant: Variant) =
    taskResult {
        let tested = underTest ask variant
        let! dataset = Stage.run context (Pipelines.packed variant.Config.Data)

        return!
            Stage.inBackground context (fun () ->
                result {
                    let! device = Device.ofName context.Device

                    let! make =
                        if Settings.isClassifier variant.Config then
                            Classify.maker OneProcess.Instance context.Store tested device dataset
                        else
                            Train.maker tested device dataset

                    use! images = Dataset.open' dataset
                    let make images = (make images: Train.Trainer).Learner
                    let title = $"find-rate {Train.title variant}"
                    return variant, RateTest.run context title tested.Config ask make images
                })
    }

let private rateText (rate: float option) =
    rate |> Option.map (number "0.0e+00") |> Option.defaultValue "–"

let private describe (variant: Variant, curve: RateTest.Curve) =
    let points = curve.Points
    let every = max 1 (points.Length / shownPoints)

    let table =
        Table.render Table.Right [
            [ Train.title variant; "learning rate"; "loss"; "smoothed" ]
            for index, point in List.indexed points do
                if index % every = 0 || index = points.Length - 1 then
                    [
                        string point.Step
                        scientific point.LearningRate
                        number "F4" point.Loss
                        number "F4" point.Smoothed
                    ]
        ]

    let ending =
        if curve.Diverged then
            $"the loss diverged after step {points.Length}"
        else
            "the loss did not diverge: a higher --to shows where it does"

    $"{table}{ending}\nfell fastest at {rateText curve.SteepestRate}, lowest at {rateText curve.LowestRate}; a tenth of the latter is a usual choice for training.learning_rate\n"

let private csv (curves: (Variant * RateTest.Curve) list) =
    [
        "variant,step,learning_rate,loss,smoothed"
        for variant, curve in curves do
            for point in curve.Points do
                $"""{variant.Variant},{point.Step},{number "R" point.LearningRate},{number "R" point.Loss},{number "R" point.Smoothed}"""
    ]
    |> List.map (fun line -> line + "\n")
    |> String.concat ""

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    taskResult {
        let file = arguments.GetResult Config
        let! ask = checkedAsk arguments

        let! layers = DQ.Pipeline.Configuration.Config.layers file (arguments.GetResults Set)

        let! variants =
            DQ.Pipeline.Configuration.Config.ofLayers file layers
            |> Result.bind (Command.only file (arguments.TryGetResult Variant))

        return! Command.inContext place false (fun context -> variants |> List.traverseTaskResult (curve ask context))
    }
    |> Command.finish (fun curves ->
        for output in Option.toList (arguments.TryGetResult Output) do
            AtomicFile.Write(output, fun stream -> stream.Write(Encoding.UTF8.GetBytes(csv curves)))

        place.Output.Result(
            curves |> List.map describe |> String.concat "\n",
            {|
                Curves = [
                    for variant, curve in curves ->
                        {|
                            Variant = variant.Variant
                            SteepestRate = Option.toNullable curve.SteepestRate
                            LowestRate = Option.toNullable curve.LowestRate
                            Diverged = curve.Diverged
                            Points = curve.Points
                        |}
                ]
            |}
        ))
