/// The common part of allocation's stages as runs.
module DQ.Pipeline.Allocation.AllocationRun

open System.Text.Json.Nodes
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Allocation.CutNetwork

/// The settings, with only some keys of the allocation; with all if none are named.
let private settings title (subject: Subject) (keys: string list) =
    let allocation = Shape.tree AllocationConfig.fields
    let values = Shape.tree (Shape.fields subject.Config)
    let tree = JsonObject()
    let kept = JsonObject()

    for pair in allocation do
        if keys.IsEmpty || List.contains pair.Key keys then
            kept[pair.Key] <- values[pair.Key] |> Option.ofObj |> Option.map _.DeepClone() |> Option.toObj

    tree["name"] <- JsonValue.Create(title: string)
    tree["seed"] <- JsonValue.Create subject.Seed
    tree["data"] <- Shape.tree (Shape.fields subject.Data)
    tree["allocation"] <- kept
    tree

/// The content of run.json for a run with these settings.
let describe kind title (subject: Subject) keys (steps: int) : StoredStage.Description = {
    Kind = kind
    Title = title
    Name = title
    Variant = ""
    Seed = subject.Seed
    Config = settings title subject keys
    Steps = int64 steps
    Notes = []
}

/// What the output depends on: the settings without the name and the paths of files, the network, and the input's
/// artifacts.
let dependsOn (description: StoredStage.Description) (network: Parent) (parts: string list) =
    let tree = description.Config.DeepClone().AsObject()

    for key in [ "name"; "data" ] do
        tree.Remove key |> ignore

    for key in [ "weights"; "run" ] do
        (nonNull tree["allocation"]).AsObject().Remove key |> ignore

    ConfigTree.canonical tree :: network.Fingerprint :: parts
