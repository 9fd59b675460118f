/// Runs of a model that trains in milliseconds.
module DQ.Tests.Pipeline.TinyRuns

open System.IO
open Expecto
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Tests.Pipeline.Contexts

let tiny = [
    "data.count=60"
    "data.image_size=8"
    "data.flip=true"
    "model.channels=8"
    "model.residual_channels=8"
    "model.coder_blocks=1"
    "model.codes=[8,8]"
    "model.codebooks=2"
    "model.code_width=4"
    "training.steps=30"
    "training.batch_size=4"
    "training.learning_rate=1e-3"
    "training.schedule=cosine"
    "training.log_every=4"
    "training.validate_every=6"
    "training.checkpoint_every=7"
    "training.sample_every=0"
    "training.initialization_batches=2"
]

let variant sets : Variant =
    let parsed =
        tiny @ sets |> List.map ConfigTree.assignment |> List.choose Result.toOption

    match Config.ofLayers "tiny.json" parsed with
    | Ok [ variant ] -> variant
    | other -> failtestf "%A" other

let train root cancelAtStep (variant: Variant) =
    run (cancelledAt root cancelAtStep) (Pipelines.model variant)

let finished result : Train.TrainedRun =
    match result with
    | Ok run -> run
    | Error error -> failtestf "%A" (StageError.lines error)

let metrics folder = Path.Combine(folder, RunLayout.Metrics)
