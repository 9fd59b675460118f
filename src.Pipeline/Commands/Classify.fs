/// `dq classify`: classifiers by quantized features, trained and evaluated.
module DQ.Pipeline.Commands.Classify

open Argu
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Host

type Arguments = ModelArguments

let example = "dq classify configs/classify-mnist.json --set data.path=mnist"

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    ModelArguments.run place arguments Config.loadClassifiers Pipelines.evaluated
    |> Command.finish (Summary.show place)
