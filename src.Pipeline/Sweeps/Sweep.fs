/// A sweep: one run for every combination of a configuration's `sweep` object, its variants and seeds.
module DQ.Pipeline.Sweeps.Sweep

open System.Text.Json
open System.Text.Json.Nodes
open DQ.Pipeline
open DQ.Pipeline.Configuration

/// One run of a sweep.
type Cell = {
    /// Number of the cell, from 0.
    Index: int
    /// The values in which the cell differs from others, instead of a variant's name.
    Variant: Variant
    /// The configuration as a tree.
    Tree: JsonObject
}

type Sweep = {
    Name: string
    /// Dotted keys in which cells differ, besides the seed.
    Keys: string list
    Cells: Cell list
    /// File of published numbers.
    Published: string option
    /// Names of the trends to test.
    Trends: string list
}

let private valueAt key tree =
    ConfigTree.find key tree |> Option.defaultValue null

/// The values of the sweep's keys in a cell.
let settings (keys: string list) (cell: Cell) : JsonObject =
    let values = JsonObject()

    for key in keys do
        values[key] <-
            valueAt key cell.Tree
            |> Option.ofObj
            |> Option.map _.DeepClone()
            |> Option.toObj

    values

/// A value as text in a table.
let show (value: JsonNode | null) =
    match value with
    | null -> "null"
    | :? JsonValue as value when value.GetValueKind() = JsonValueKind.String -> value.GetValue<string>()
    | value -> value.ToJsonString()

/// A setting as a part of a run's name.
let private brief (key: string) (value: JsonNode | null) =
    let last = key.Split '.' |> Array.last

    match value with
    | :? JsonValue as text when text.GetValueKind() = JsonValueKind.String -> show text
    | :? JsonArray as items -> $"""{last}-{items |> Seq.map show |> String.concat "x"}"""
    | value -> $"{last}-{show value}"

let private configurationKeys =
    Shape.keys (Settings.fields Settings.defaults)
    |> List.filter (fun key -> key <> "name" && key <> "seed")

/// Numbers the cells, and names them by the values in which they differ.
let private numbered (configs: RunConfig list) : string list * Cell list =
    let trees = configs |> List.map Settings.toTree

    let varies key =
        trees
        |> List.distinctBy (fun tree -> ConfigTree.canonical (valueAt key tree))
        |> List.length
            >
            1

    let keys = configurationKeys |> List.filter varies
    let seeds = configs |> List.distinctBy _.Seed

    let name (config: RunConfig) tree =
        let parts = [
            for key in keys do
                brief key (valueAt key tree)
            if seeds.Length > 1 then
                $"seed-{config.Seed}"
        ]

        let name = String.concat "-" parts
        // the name of a folder has at most 255 bytes
        name[.. min name.Length 120 - 1]

    let cells =
        List.zip configs trees
        |> List.mapi (fun index (config, tree) -> {
            Index = index
            Variant = {
                Variant = name config tree
                Config = config
            }
            Tree = tree
        })

    keys, cells

/// Finds two cells that would be the same run.
let private twice (cells: Cell list) =
    cells
    |> List.groupBy (fun cell -> ConfigTree.canonical cell.Tree)
    |> List.tryPick (fun (_, same) ->
        match same with
        | first :: second :: _ ->
            Some("sweep", $"cells {first.Index} and {second.Index} (from 0) are the same run: {first.Variant.Variant}")
        | _ -> None)

let private seedLayers file (seeds: int64 list option) : ConfigTree.Layer list list =
    match seeds with
    | None -> [ [] ]
    | Some seeds -> [
        for seed in seeds do
            let tree = JsonObject()
            tree["seed"] <- JsonValue.Create seed

            [
                {
                    File = file
                    Prefix = "sweep."
                    Tree = tree
                }
            ]
      ]

/// All configurations, or all their problems, each once.
let private resolved file (own: ConfigTree.Layer list) (grid: Grid.Grid) (sets: ConfigTree.Layer list) =
    let results = [
        for settings in grid.Settings do
            for seed in seedLayers file grid.Seeds -> Config.ofLayers file (own @ [ settings ] @ seed @ sets)
    ]

    let problems =
        results
        |> List.collect (function
            | Error(Configuration problems) -> problems
            | _ -> [])

    match List.distinct problems with
    | [] -> Ok(results |> List.collect (Result.defaultValue []) |> List.map _.Config)
    | problems -> Error(Configuration problems)

/// The sweep of a configuration file; all problems at once. Assignments (`--set`) override everything, also the cells'
/// own settings.
let load (knownTrends: string list) (file: string) (assignments: string list) : Result<Sweep, StageError> =
    match ConfigTree.layers file, Config.assignments assignments with
    | Error problem, Ok _ -> Error(Configuration [ problem ])
    | Error problem, Error others -> Error(Configuration(problem :: others))
    | Ok _, Error problems -> Error(Configuration problems)
    | Ok own, Ok sets ->
        let fail problems =
            Error(
                Configuration [
                    for key, message in problems do
                        let file, key = ConfigTree.origin file (own @ sets) key

                        {
                            File = file
                            Key = key
                            Message = message
                        }
                ]
            )

        match Grid.read knownTrends file (own @ sets) with
        | Error problems -> fail problems
        | Ok None -> Error(Usage $"{file}: expected a sweep object; dq run is for configurations without one")
        | Ok(Some grid) ->
            resolved file own grid sets
            |> Result.bind (fun configs ->
                let keys, cells = numbered configs

                match twice cells with
                | Some problem -> fail [ problem ]
                | None ->
                    Ok {
                        Name = configs.Head.Name
                        Keys = keys
                        Cells = cells
                        Published = grid.Published
                        Trends = grid.Trends
                    })
