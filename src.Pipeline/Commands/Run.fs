/// `dq run`: the whole pipeline of a configuration.
module DQ.Pipeline.Commands.Run

open Argu
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Host

type Arguments = ModelArguments

let example = "dq run configs/quickstart.json --set training.steps=1000"

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    ModelOptions.run place (ModelOptions.parse arguments) Config.load Pipelines.evaluatedOn
    |> Command.finish (Summary.show place)
