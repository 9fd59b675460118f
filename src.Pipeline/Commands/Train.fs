/// `dq train`: a model, on data that is packed first where need be.
module DQ.Pipeline.Commands.Train

open Argu
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Pipeline.Host

type Arguments = ModelArguments

let example =
    "dq train configs/quickstart.json --variant dq\n  dq train quickstart-dq --steps 1000"

let private describe (run: Train.TrainedRun) =
    $"{run.Record.Id}: {run.Record.StepsDone} steps, validation {Summary.validation run.Record}\n"

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    ModelOptions.run place (ModelOptions.parse arguments) Config.load Pipelines.modelOn
    |> Command.finish (fun runs ->
        let text = runs |> List.map describe |> String.concat ""
        place.Output.Result(text, {| Runs = runs |> List.map _.Record |}))
