/// `sweep.random`: cells whose settings are drawn from ranges and lists.
/// Bergstra & Bengio 2012: few of many settings matter, and random draws try more values of each setting than a grid
/// with as many cells.
module DQ.Pipeline.Sweeps.RandomSearch

open System
open System.Globalization
open System.Text.Json
open System.Text.Json.Nodes
open DQ.Core
open DQ.Pipeline
open DQ.Pipeline.Configuration
open FsToolkit.ErrorHandling

/// The source of a setting's values.
type Range =
    /// A list whose values are equally likely.
    | Choices of (JsonNode | null) list
    /// A range of whole numbers, with both ends.
    | Whole of low: int64 * high: int64
    | Uniform of low: float * high: float
    /// Uniform in its logarithm: as many values between 1e-5 and 1e-4 as between 1e-4 and 1e-3.
    | LogUniform of low: float * high: float

type Search = {
    Count: int
    Seed: int64
    Ranges: (string * Range) list
}

/// Maximum number of draws. More are assumed to be a mistake, because each costs a training.
let private mostCells = 10_000

/// Number of digits: enough to distinguish values, and few enough to read.
let private digits = 4

let private show (node: JsonNode | null) =
    match node with
    | null -> "null"
    | node -> node.ToJsonString()

let private number (node: JsonNode | null) =
    match node with
    | :? JsonValue as value when value.GetValueKind() = JsonValueKind.Number -> Some(value.GetValue<float>())
    | _ -> None

/// The number in its usual form: 1, not 1.0 and not 1e3.
let private whole (node: JsonNode | null) =
    match node with
    | :? JsonValue as value when value.GetValueKind() = JsonValueKind.Number ->
        match Int64.TryParse(value.ToJsonString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) with
        | true, number -> Some number
        | _ -> None
    | _ -> None

let private range key (node: JsonNode | null) : Result<string * Range, string * string> =
    let at = $"sweep.random.ranges.{key}"

    match node with
    | :? JsonArray as values when values.Count > 0 -> Ok(key, Choices(List.ofSeq values))
    | :? JsonObject as tree ->
        let unknown =
            [ for pair in tree -> pair.Key ]
            |> List.tryFind (fun name -> not (List.contains name [ "from"; "to"; "scale" ]))

        let scale =
            match tree["scale"] with
            | null -> Some "linear"
            | :? JsonValue as value when value.GetValueKind() = JsonValueKind.String -> Some(value.GetValue<string>())
            | _ -> None

        match unknown, scale, number tree["from"], number tree["to"] with
        | Some name, _, _, _ -> Error($"{at}.{name}", "unknown key, known here: from, to, scale")
        | _, _, None, _
        | _, _, _, None -> Error(at, $"expected a list of values, or numbers 'from' and 'to', got {show node}")
        | _, _, Some low, Some high when not (low < high) -> Error(at, $"expected from below to, got {low} and {high}")
        | _, Some "log", Some low, _ when low <= 0.0 ->
            Error($"{at}.from", $"expected a number above 0 for the scale log, got {low}")
        | _, Some "log", Some low, Some high -> Ok(key, LogUniform(low, high))
        | _, Some "linear", Some low, Some high ->
            match whole tree["from"], whole tree["to"] with
            | Some low, Some high -> Ok(key, Whole(low, high))
            | _ -> Ok(key, Uniform(low, high))
        | _ -> Error($"{at}.scale", $"""expected linear or log, got {show tree["scale"]}""")
    | _ -> Error(at, $"expected a list of values, or an object with 'from' and 'to', got {show node}")

/// The random search of a sweep; None if there is none. `flat` changes keys of nested objects into dotted keys.
let read (sweep: JsonObject) : Validation<Search option, string * string> =
    match ConfigTree.find "random" sweep with
    | None
    | Some null -> Ok None
    | Some(:? JsonObject as random) ->
        let unknown = [
            for pair in random do
                if not (List.contains pair.Key [ "count"; "seed"; "ranges" ]) then
                    $"sweep.random.{pair.Key}", "unknown key, known here: count, seed, ranges"
        ]

        validation {
            let! () = if unknown.IsEmpty then Ok() else Error unknown

            and! count =
                match whole random["count"] with
                | Some count when count >= 1L && count <= int64 mostCells -> Ok(int count)
                | _ ->
                    Error [
                        "sweep.random.count",
                        $"""expected a whole number from 1 to {mostCells}, got {show random["count"]}"""
                    ]

            and! seed =
                match random["seed"], whole random["seed"] with
                | null, _ -> Ok 0L
                | _, Some seed -> Ok seed
                | other, None -> Error [ "sweep.random.seed", $"expected a whole number, got {show other}" ]

            and! ranges =
                match random["ranges"] with
                | :? JsonObject as ranges when ranges.Count > 0 ->
                    List.ofSeq ranges
                    |> List.traverseResultA (fun pair ->
                        if pair.Key = "name" || pair.Key = "seed" then
                            Error(
                                $"sweep.random.ranges.{pair.Key}",
                                "expected no name and no seed here: the cells of a sweep share a name, sweep.seeds lists seeds"
                            )
                        else
                            range pair.Key pair.Value)
                | other ->
                    Error [
                        "sweep.random.ranges",
                        $"expected an object of lists and ranges by dotted key, at least one, got {show other}"
                    ]

            return
                Some {
                    Count = count
                    Seed = seed
                    Ranges = ranges
                }
        }
    | Some other ->
        Error [
            "sweep.random", $"expected an object {{ count, seed, ranges }}, got {show other}"
        ]

let private rounded (value: float) : JsonNode | null =
    let text = value.ToString($"G{digits}", CultureInfo.InvariantCulture)
    JsonValue.Create(Double.Parse(text, CultureInfo.InvariantCulture))

/// A function of seed, draw and key only. Other keys and further draws do not change it.
let private draw (search: Search) index (key: string, range) : JsonNode | null =
    let name = Convert.ToInt64(DQ.Core.Sha256.OfText(key)[..14], 16)
    let mutable random = SplitMix64(search.Seed, int64 index, name)
    let share = random.NextDouble()

    match range with
    | Choices values -> values[min (values.Length - 1) (int (share * float values.Length))]
    | Whole(low, high) -> JsonValue.Create(min high (low + int64 (share * float (high - low + 1L))))
    | Uniform(low, high) -> rounded (low + share * (high - low))
    | LogUniform(low, high) -> rounded (exp (log low + share * (log high - log low)))

/// The requested number of distinct cells, each a tree of dotted keys; fewer if no more are found.
let cells (search: Search) : JsonObject list =
    let cell index =
        let flat = JsonObject()

        for key, range in search.Ranges do
            flat[key] <-
                draw search index (key, range)
                |> Option.ofObj
                |> Option.map _.DeepClone()
                |> Option.toObj

        ConfigTree.nested flat

    Seq.initInfinite cell
    |> Seq.truncate (100 * search.Count)
    |> Seq.distinctBy ConfigTree.canonical
    |> Seq.truncate search.Count
    |> List.ofSeq
