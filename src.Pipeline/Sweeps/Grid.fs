/// The `sweep` object of a configuration: its grid, cells and seeds, read and checked.
module DQ.Pipeline.Sweeps.Grid

open System.IO
open System.Text.Json
open System.Text.Json.Nodes
open DQ.Pipeline
open DQ.Pipeline.Configuration
open FsToolkit.ErrorHandling

/// The content of a `sweep` object.
type Grid = {
    /// One layer over the configuration for every combination of the grid, and then for every cell of the list.
    Settings: ConfigTree.Layer list
    /// None: the configuration's own seed.
    Seeds: int64 list option
    /// File of published numbers.
    Published: string option
    /// Names of the trends to test.
    Trends: string list
}

/// The keys of a `sweep` object.
let keys = [ "grid"; "cells"; "random"; "seeds"; "published"; "trends" ]

/// Maximum number of cells. More are assumed to be a mistake, because each costs a training.
let private mostCells = 10_000

let private show (node: JsonNode | null) =
    match node with
    | null -> "null"
    | node -> node.ToJsonString()

/// Every value of a tree with its dotted key, in the order of the text.
let rec private flat (tree: JsonObject) : JsonObject =
    let result = JsonObject()

    for pair in tree do
        match pair.Value with
        | :? JsonObject as inner ->
            for below in flat inner do
                result[$"{pair.Key}.{below.Key}"] <-
                    below.Value |> Option.ofObj |> Option.map _.DeepClone() |> Option.toObj
        | value -> result[pair.Key] <- value |> Option.ofObj |> Option.map _.DeepClone() |> Option.toObj

    result

/// The same for ranges, whose own objects are kept.
let rec private flatRanges (tree: JsonObject) : JsonObject =
    let result = JsonObject()

    for pair in tree do
        match pair.Value with
        | :? JsonObject as inner when not (inner.ContainsKey "from" || inner.ContainsKey "to") ->
            for below in flatRanges inner do
                result[$"{pair.Key}.{below.Key}"] <-
                    below.Value |> Option.ofObj |> Option.map _.DeepClone() |> Option.toObj
        | value -> result[pair.Key] <- value |> Option.ofObj |> Option.map _.DeepClone() |> Option.toObj

    result

/// The merged `sweep` object of all layers; None if no layer has one. The grid's keys become dotted keys.
let private merged (layers: ConfigTree.Layer list) : Result<JsonObject option, (string * string) list> =
    let withFlatGrid (sweep: JsonObject) =
        let sweep = sweep.DeepClone().AsObject()

        match sweep["grid"] with
        | :? JsonObject as grid -> sweep["grid"] <- flat grid
        | _ -> ()

        match sweep["random"] with
        | :? JsonObject as random ->
            match random["ranges"] with
            | :? JsonObject as ranges -> random["ranges"] <- flatRanges ranges
            | _ -> ()
        | _ -> ()

        sweep

    (Ok None, layers)
    ||> List.fold (fun whole layer ->
        match whole, ConfigTree.find "sweep" layer.Tree with
        | Error problems, _ -> Error problems
        | whole, None -> whole
        | Ok _, Some null -> Ok None
        | Ok whole, Some(:? JsonObject as sweep) ->
            let under = whole |> Option.defaultWith (fun () -> JsonObject())
            Ok(Some(ConfigTree.mergeObjects under (withFlatGrid sweep)))
        | Ok _, Some other -> Error [ "sweep", $"expected an object {{ … }}, got {show other}" ])

let private knownKeys (sweep: JsonObject) : Validation<unit, string * string> =
    let unknown = [
        for pair in sweep do
            if not (List.contains pair.Key keys) then
                let hint =
                    match Nearest.find pair.Key keys with
                    | Some near -> $"did you mean '{near}'?"
                    | None -> "known here: " + String.concat ", " keys

                $"sweep.{pair.Key}", $"unknown key, {hint}"
    ]

    if unknown.IsEmpty then Ok() else Error unknown

/// A list at a key of the sweep, each item read by `read`; None if the key is missing.
let private items (sweep: JsonObject) key expectation (read: JsonNode | null -> 'a option) =
    match ConfigTree.find key sweep with
    | None -> Ok None
    | Some(:? JsonArray as values) when values.Count > 0 ->
        match values |> Seq.tryFindIndex (fun value -> (read value).IsNone) with
        | Some index -> Error [ $"sweep.{key}[{index}]", $"expected {expectation}, got {show values[index]}" ]
        | None -> Ok(Some(values |> Seq.choose read |> List.ofSeq))
    | Some other ->
        Error [
            $"sweep.{key}", $"expected a list, at least one, each {expectation}; got {show other}"
        ]

let private ofKind kind (node: JsonNode | null) =
    match node with
    | :? JsonValue as value when value.GetValueKind() = kind -> Some value
    | _ -> None

let private wholeNumber node =
    ofKind JsonValueKind.Number node
    |> Option.bind (fun value ->
        match JsonSerializer.SerializeToElement(value).TryGetInt64() with
        | true, number -> Some number
        | _ -> None)

let private word node =
    ofKind JsonValueKind.String node |> Option.map _.GetValue<string>()

let private settingsObject (node: JsonNode | null) =
    match node with
    | :? JsonObject as tree -> Some(ConfigTree.nested tree)
    | _ -> None

/// Checks that a sweep has a name and its own seeds.
let private notReserved (what: string) (settings: JsonObject) : Validation<unit, string * string> =
    match settings.ContainsKey "name", settings.ContainsKey "seed" with
    | true, _ -> Error [ $"{what}.name", "expected no name here: the cells of a sweep share one" ]
    | _, true -> Error [ $"{what}.seed", "expected no seed here: sweep.seeds lists them" ]
    | _ -> Ok()

/// One tree per combination; the first key's values change slowest.
let product (axes: (string * (JsonNode | null) list) list) : JsonObject list =
    let rec combinations axes : (string * (JsonNode | null)) list list =
        match axes with
        | [] -> [ [] ]
        | (key, values) :: rest -> [
            let others = combinations rest

            for value in values do
                for other in others -> (key, value) :: other
          ]

    [
        for combination in combinations axes do
            let flat = JsonObject()

            for key, value in combination do
                flat[key] <- value |> Option.ofObj |> Option.map _.DeepClone() |> Option.toObj

            ConfigTree.nested flat
    ]

let private combinations (sweep: JsonObject) : Validation<JsonObject list, string * string> =
    match ConfigTree.find "grid" sweep with
    | None -> Ok []
    | Some(:? JsonObject as grid) ->
        validation {
            let! axes =
                List.ofSeq grid
                |> List.traverseResultA (fun axis ->
                    match axis.Value with
                    | :? JsonArray as values when values.Count > 0 -> Ok(axis.Key, List.ofSeq values)
                    | other ->
                        Error($"sweep.grid.{axis.Key}", $"expected a list of values, at least one; got {show other}"))

            and! () = notReserved "sweep.grid" grid

            let size =
                (1.0, axes) ||> List.fold (fun size (_, values) -> size * float values.Length)

            if size > float mostCells then
                return! Error [ "sweep.grid", $"expected at most {mostCells} cells, got {size}" ]
            else
                return product axes
        }
    | Some other -> Error [ "sweep.grid", $"expected an object of lists by key, got {show other}" ]

let private cells (sweep: JsonObject) : Validation<JsonObject list, string * string> =
    validation {
        let! cells = items sweep "cells" "an object of settings" settingsObject
        let cells = Option.defaultValue [] cells

        let! _ =
            List.indexed cells
            |> List.traverseResultA (fun (index, cell) -> notReserved $"sweep.cells[{index}]" cell)
            |> Result.mapError List.concat

        return cells
    }

/// A path relative to the file that contains it.
let private published (layers: ConfigTree.Layer list) (sweep: JsonObject) : Validation<string option, string * string> =
    match ConfigTree.find "published" sweep with
    | None
    | Some null -> Ok None
    | Some node ->
        match word node with
        | None -> Error [ "sweep.published", $"expected the name of a file, got {show node}" ]
        | Some name ->
            let file, _ = ConfigTree.origin "" layers "sweep.published"
            let folder = Path.GetDirectoryName file |> Option.ofObj |> Option.defaultValue ""
            Ok(Some(Path.Combine(folder, name)))

/// The sweep of the layers; None if there is none. Problems by key.
let read
    (knownTrends: string list)
    (file: string)
    (layers: ConfigTree.Layer list)
    : Result<Grid option, (string * string) list> =
    let layer (key: string) prefix tree : ConfigTree.Layer = {
        File = fst (ConfigTree.origin file layers key)
        Prefix = prefix
        Tree = tree
    }

    let trend node =
        word node |> Option.filter (fun name -> List.contains name knownTrends)

    match merged layers with
    | Error problems -> Error problems
    | Ok None -> Ok None
    | Ok(Some sweep) ->
        validation {
            let! () = knownKeys sweep
            and! grid = combinations sweep
            and! cells = cells sweep
            and! random = RandomSearch.read sweep
            and! seeds = items sweep "seeds" "a whole number" wholeNumber
            and! trends = items sweep "trends" ("one of " + String.concat ", " knownTrends) trend
            and! published = published layers sweep

            let settings = [
                for tree in grid -> layer "sweep.grid" "sweep.grid." tree
                for index, tree in List.indexed cells -> layer "sweep.cells" $"sweep.cells[{index}]." tree
                for search in Option.toList random do
                    for tree in RandomSearch.cells search -> layer "sweep.random" "sweep.random.ranges." tree
            ]

            return
                Some {
                    Settings =
                        (if settings.IsEmpty then
                             [ layer "sweep" "sweep." (JsonObject()) ]
                         else
                             settings)
                    Seeds = seeds
                    Published = published
                    Trends = Option.defaultValue [] trends
                }
        }
