/// Runs of a model that trains in milliseconds.
module DQ.Tests.Pipeline.TinyRuns

open System.IO
open Expecto
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Tests.Pipeline.Contexts

/// Data and a model that take milliseconds.
let model = [
    "data.count=60"
    "data.image_size=8"
    "model.channels=8"
    "model.residual_channels=8"
    "model.coder_blocks=1"
    "model.codes=[8,8]"
    "model.codebooks=2"
    "model.code_width=4"
]

let private tiny =
    model
    @ [
        "data.flip=true"
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

/// What assignments make of the defaults.
let resolve sets =
    sets
    |> List.map ConfigTree.assignment
    |> List.choose Result.toOption
    |> Config.ofLayers "tiny.json"

/// The one variant that assignments make.
let variantOf sets : Variant =
    match resolve sets with
    | Ok [ variant ] -> variant
    | other -> failtestf "%A" other

let variant sets = variantOf (tiny @ sets)

let train root cancelAtStep (variant: Variant) =
    run (cancelledAt root cancelAtStep) (Pipelines.model variant)

let finished result : Train.TrainedRun =
    match result with
    | Ok run -> run
    | Error error -> failtestf "%A" (StageError.lines error)

let metrics folder = Path.Combine(folder, RunLayout.Metrics)
