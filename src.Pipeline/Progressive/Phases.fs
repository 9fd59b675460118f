/// The `progressive` object of a configuration: its phases, which are its `stages`, read and checked.
module DQ.Pipeline.Progressive.Phases

open System
open System.Collections.Generic
open System.Text.Json
open System.Text.Json.Nodes
open DQ.Pipeline
open DQ.Pipeline.Configuration
open FsToolkit.ErrorHandling

/// A phase as in a configuration.
type PhaseConfig = {
    /// Width and height of the images in pixels; not below those of the phase before.
    ImageSize: int
    /// Optimizer steps; either this or epochs.
    Steps: int64 option
    /// Passes over the training images; either this or steps.
    Epochs: float option
    /// Images per optimizer step; null takes training.batch_size.
    BatchSize: int option
    /// Peak learning rate; null takes training.learning_rate.
    LearningRate: float option
    /// Parts of the model that are not trained in this phase, as in training.freeze.
    Freeze: IReadOnlyList<string>
}

/// Training at the last size from new weights, with as many multiply-adds as the whole chain.
type ScratchConfig = {
    /// Images per optimizer step; null takes the last phase's.
    BatchSize: int option
    /// Peak learning rate; null takes the last phase's.
    LearningRate: float option
}

/// Keys of the object.
let keys = [ "stages"; "scratch" ]

let private noPhase: PhaseConfig = {
    ImageSize = 0
    Steps = None
    Epochs = None
    BatchSize = None
    LearningRate = None
    Freeze = [||]
}

let private noScratch: ScratchConfig = {
    BatchSize = None
    LearningRate = None
}

/// The fields of a phase and of the training from scratch, for the schema.
let phaseFields = Shape.fields noPhase
let scratchFields = Shape.fields noScratch

/// The variant name of the training from scratch.
let scratchName = "scratch"

let private show (node: JsonNode | null) =
    match node with
    | null -> "null"
    | node -> node.ToJsonString()

/// The merged value of a key in all layers.
let merged key (layers: ConfigTree.Layer list) : JsonNode | null =
    (null, layers)
    ||> List.fold (fun under layer ->
        match ConfigTree.find key layer.Tree with
        | None -> under
        | Some over -> ConfigTree.merge under over)

/// A record of these fields from an object, over its defaults.
let readRecord<'T> prefix (fields: Shape.Field list) (tree: JsonObject) : Result<'T, (string * string) list> =
    match Shape.check [] fields tree with
    | [] ->
        let whole = ConfigTree.mergeObjects (Shape.tree fields) tree

        match JsonSerializer.Deserialize<'T>(whole, Shape.serializer) with
        | null -> invalidOp "the tree was checked"
        | value -> Ok value
    | problems -> Error [ for key, message in problems -> $"{prefix}.{key}", message ]

let private readPhase name (node: JsonNode) : Result<string * PhaseConfig, (string * string) list> =
    let key = $"progressive.stages.{name}"

    match node with
    | :? JsonObject when name = scratchName ->
        Error [ key, $"expected another name: '{scratchName}' is the training from scratch" ]
    | :? JsonObject as tree ->
        result {
            let! stage = readRecord<PhaseConfig> key phaseFields tree
            let size = tree["image_size"]

            let problems = [
                if stage.ImageSize < 1 then
                    $"{key}.image_size", $"expected the side of the images in pixels, got {show size}"
                if stage.Steps.IsSome = stage.Epochs.IsSome then
                    key, "expected either steps or epochs"
                if stage.Epochs.IsSome && not (stage.Epochs.Value > 0.0) then
                    $"{key}.epochs", $"expected a number above 0, got {stage.Epochs.Value}"
            ]

            if problems.IsEmpty then
                return name, stage
            else
                return! Error problems
        }
    | other -> Error [ key, $"expected an object {{ … }} or null, got {show other}" ]

/// Images must not get smaller, because a later phase would lose what the earlier phase learned.
let private growing (phases: (string * PhaseConfig) list) : Validation<unit, string * string> =
    let shrinking = [
        for (_, before), (name, phase) in List.pairwise phases do
            if phase.ImageSize < before.ImageSize then
                $"progressive.stages.{name}.image_size",
                $"expected at least {before.ImageSize}, the size of the stage before, got {phase.ImageSize}"
    ]

    if shrinking.IsEmpty then Ok() else Error shrinking

let private readPhases (node: JsonNode | null) : Result<(string * PhaseConfig) list, (string * string) list> =
    match node with
    | :? JsonObject as stages ->
        validation {
            let! stages =
                [
                    for pair in stages do
                        match pair.Value with
                        | null -> () // removed
                        | node -> pair.Key, node
                ]
                |> List.traverseResultA (fun (name, node) -> readPhase name node)
                |> Result.mapError List.concat

            if stages.IsEmpty then
                return! Error [ "progressive.stages", "expected at least one stage" ]
            else
                do! growing stages
                return stages
        }
    | other ->
        Error [
            "progressive.stages", $"expected an object of named stages, got {show other}"
        ]

let private readScratch (node: JsonNode | null) : Result<ScratchConfig option, (string * string) list> =
    match node with
    | null -> Ok None
    | :? JsonObject as tree ->
        readRecord<ScratchConfig> "progressive.scratch" scratchFields tree
        |> Result.map Some
    | other ->
        Error [
            "progressive.scratch", $"expected an object {{ … }} or null, got {show other}"
        ]

/// Phases in order and the training from scratch; problems by key, all at once.
let read (layers: ConfigTree.Layer list) =
    match merged "progressive" layers with
    | :? JsonObject as progressive ->
        validation {
            let! stages = readPhases progressive["stages"]
            and! scratch = readScratch progressive["scratch"]

            and! () =
                match
                    [ for pair in progressive -> pair.Key ]
                    |> List.filter (fun key -> not (List.contains key keys))
                with
                | [] -> Ok()
                | unknown ->
                    let known = String.concat ", " keys

                    Error [
                        for key in unknown -> $"progressive.{key}", $"unknown key; known here: {known}"
                    ]

            and! () =
                if Config.asksFor "variants" layers then
                    Error [ "variants", "expected none beside progressive: a chain trains one model" ]
                else
                    Ok()

            return stages, scratch
        }
    | other -> Error [ "progressive", $"expected an object {{ … }}, got {show other}" ]
