/// `dq train`: a model, on data that is packed first where need be.
module DQ.Pipeline.Commands.Train

open Argu
open DQ.Core.Artifacts
open DQ.Pipeline

type Arguments = ModelArguments

let example = "dq train configs/quickstart.json --variant dq"

let private describe (run: Train.TrainedRun) =
    let validation (record: RunRecord) =
        match
            Option.ofNullable record.ValidationReconstructionNatsPerDim, Option.ofNullable record.ValidationSquaredError
        with
        | Some nats, _ -> $"validation {nats:F4} nats/dim"
        | None, Some error -> $"validation {error:F4} squared error"
        | None, None -> "no validation images"

    $"{run.Record.Id}: {run.Record.StepsDone} steps, {validation run.Record}\n"

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    ModelArguments.run place arguments Config.load Pipelines.model
    |> Command.finish (fun runs ->
        let text = runs |> List.map describe |> String.concat ""
        place.Output.Result(text, {| Runs = runs |> List.map _.Record |}))
