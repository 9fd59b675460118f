/// Runs chosen by what their records say. Pure but for the status, which a living owner decides.
module DQ.Pipeline.Storage.RunQuery

open System
open System.Globalization
open System.Text.Json
open System.Text.Json.Nodes
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration

/// Leaves of a tree by dotted key; a list is one leaf.
let rec leaves prefix (tree: JsonObject) : (string * JsonNode option) list = [
    for pair in tree do
        let key = prefix + pair.Key

        match pair.Value with
        | :? JsonObject as inner when inner.Count > 0 -> yield! leaves (key + ".") inner
        | value -> key, Option.ofObj value
]

/// A leaf as text: strings bare, the rest as JSON.
let text (value: JsonNode option) =
    match value with
    | None -> "null"
    | Some node when node.GetValueKind() = JsonValueKind.String -> node.GetValue<string>()
    | Some node -> ConfigTree.canonical node

let private word (text: string) : JsonNode option =
    JsonValue.Create text
    |> Option.ofObj
    |> Option.map (fun value -> value :> JsonNode)

/// What a record says, by dotted key; settings without `config.`, numbers of the latest evaluation without `headline.`.
let facts folder (record: RunRecord) : Map<string, JsonNode option> =
    let tree =
        (nonNull (JsonSerializer.SerializeToNode(record, ArtifactJson.Options))).AsObject()

    let short (key: string) =
        [ "config."; "headline."; "classification." ]
        |> List.tryFind key.StartsWith
        |> Option.map (fun prefix -> key[prefix.Length ..])

    let all = leaves "" tree

    Map [
        for key, value in all do
            for name in Option.toList (short key) do
                name, value
        yield! all
        "status", word (Store.status folder record)
        "kind", word (record.Kind.Name())
    ]

/// One condition: a key, a comparison, a value.
type Condition = {
    Key: string
    Comparison: string
    Value: string
}

/// The longer ones first.
let private comparisons = [ "<="; ">="; "!="; "="; "<"; ">" ]

/// `training.steps>=500`, `model.quantizer.kind=vector`.
let parse (condition: string) : Result<Condition, StageError> =
    let places =
        comparisons
        |> List.choose (fun comparison ->
            match condition.IndexOf(comparison, StringComparison.Ordinal) with
            | -1
            | 0 -> None
            | place -> Some(place, -comparison.Length, comparison))
        |> List.sort

    match places with
    | (place, _, comparison) :: _ ->
        Ok {
            Key = condition[.. place - 1].Trim()
            Comparison = comparison
            Value = condition[place + comparison.Length ..].Trim()
        }
    | [] ->
        let listed = String.concat " " comparisons
        Error(Usage $"--where '{condition}': expected KEY, one of {listed}, and a value, such as training.steps>=500")

let private order (a: string) (b: string) =
    let asNumber (text: string) =
        match Double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture) with
        | true, number -> Some number
        | _ -> None

    match asNumber a, asNumber b with
    | Some a, Some b -> compare a b
    | _ -> String.CompareOrdinal(a, b)

/// Whether what a record says meets a condition. What has no such key, or null there, meets none but `!=`.
let meets (facts: Map<string, JsonNode option>) (condition: Condition) =
    match facts.TryFind condition.Key with
    | Some(Some _ as value) ->
        let compared = order (text value) condition.Value

        match condition.Comparison with
        | "<=" -> compared <= 0
        | ">=" -> compared >= 0
        | "!=" -> compared <> 0
        | "=" -> compared = 0
        | "<" -> compared < 0
        | _ -> compared > 0
    | _ ->
        condition.Comparison = "!="
        || (condition.Comparison = "=" && condition.Value = "null")
