/// Configurations as JSON trees: reading, merging, `--set`. All functions are pure except `layers`, which reads files.
module DQ.Pipeline.Configuration.ConfigTree

open System
open System.IO
open System.Text.Json
open System.Text.Json.Nodes
open DQ.Pipeline

/// One source of settings. `Prefix` is the key of the tree in its file, such as `variants.vq.`.
type Layer = {
    File: string
    Prefix: string
    Tree: JsonObject
}

/// Maximum size of a configuration; a larger file is something else.
let private mostBytes = 16L <<< 20

/// The keys that describe the file and not the run.
let private fileKeys = [ "$schema"; "extends" ]

let private copy (node: JsonNode | null) : JsonNode | null =
    match node with
    | null -> null
    | node -> node.DeepClone()

/// Merges `over` into `under`: objects are merged key by key, and all other values of `over` (also arrays and null)
/// replace those of `under`.
let rec merge (under: JsonNode | null) (over: JsonNode | null) : JsonNode | null =
    match under, over with
    | (:? JsonObject as under), (:? JsonObject as over) -> mergeObjects under over
    | _ -> copy over

/// `merge` of two objects; neither is changed.
and mergeObjects (under: JsonObject) (over: JsonObject) : JsonObject =
    let merged = JsonObject()

    for pair in under do
        merged[pair.Key] <-
            if over.ContainsKey pair.Key then
                merge pair.Value over[pair.Key]
            else
                copy pair.Value

    for pair in over do
        if not (under.ContainsKey pair.Key) then
            merged[pair.Key] <- copy pair.Value

    merged

/// The tree without a dotted key. For an item of a list, such as `codes[1]`, the whole list is removed.
let without (key: string) (tree: JsonObject) : JsonObject =
    let copied = tree.DeepClone().AsObject()

    let rec remove (keys: string list) (node: JsonNode | null) =
        match keys, node with
        | [ last ], (:? JsonObject as inner) -> inner.Remove last |> ignore
        | first :: rest, (:? JsonObject as inner) -> remove rest inner[first]
        | _ -> ()

    remove (List.ofArray (((key.Split '[')[0]).Split '.')) copied
    copied

/// JSON with comments and trailing commas, one object; a key given twice is an error.
let parse (text: string) : Result<JsonObject, string> =
    let options =
        JsonDocumentOptions(
            CommentHandling = JsonCommentHandling.Skip,
            AllowTrailingCommas = true,
            AllowDuplicateProperties = false
        )

    try
        match JsonNode.Parse(text, Nullable(), options) with
        | :? JsonObject as tree -> Ok tree
        | _ -> Error "expected an object { … }"
    with :? JsonException as error ->
        let line = error.LineNumber.GetValueOrDefault() + 1L
        let column = error.BytePositionInLine.GetValueOrDefault() + 1L

        let reason =
            error.Message.Split([| " LineNumber:"; " Path:" |], StringSplitOptions.None)[0]

        Error $"expected JSON (comments and trailing commas are fine), line {line}, column {column}: {reason}"

/// A value under a path of keys.
let private nest (keys: string[]) (value: JsonNode | null) : JsonNode | null =
    (keys, value)
    ||> Array.foldBack (fun key inner ->
        let outer = JsonObject()
        outer[key] <- inner
        outer)

/// Where assignments come from, for messages.
let private commandLine = "--set"

/// Whether a layer is an assignment of the command line.
let isAssignment (layer: Layer) = layer.File = commandLine

/// `a.b=c` as a tree. `c` is JSON if it can be parsed as JSON, and a string otherwise.
let assignment (text: string) : Result<Layer, ConfigProblem> =
    let problem message =
        Error {
            File = commandLine
            Key = text
            Message = message
        }

    match text.IndexOf '=' with
    | -1 -> problem "expected KEY=VALUE, such as training.steps=1000"
    | split ->
        let keys = text[.. split - 1].Trim().Split '.'
        let raw = text[split + 1 ..]

        if keys |> Array.exists String.IsNullOrWhiteSpace then
            problem "expected a dotted key before '=', such as training.steps=1000"
        else
            let value: JsonNode | null =
                try
                    JsonNode.Parse raw
                with :? JsonException ->
                    JsonValue.Create raw

            match nest keys value with
            | :? JsonObject as tree ->
                Ok {
                    File = commandLine
                    Prefix = ""
                    Tree = tree
                }
            | _ -> problem "expected KEY=VALUE"

/// The layers of a file, first those that it extends; `extends` is relative to the file that contains it.
let layers (path: string) : Result<Layer list, ConfigProblem> =
    let rec load (seen: string list) (path: string) =
        let full = Path.GetFullPath path

        let problem key message =
            Error {
                File = path
                Key = key
                Message = message
            }

        if List.contains full seen then
            problem "extends" "a file can't extend itself"
        elif not (File.Exists full) then
            problem "" "expected a configuration file, found none"
        else
            let content =
                try
                    use reader =
                        new StreamReader(new MemoryStream(DQ.Core.RegularFile.ReadAllBytes(full, mostBytes)))

                    parse (reader.ReadToEnd())
                with
                | :? IOException
                | :? InvalidDataException
                | :? UnauthorizedAccessException as error -> Error $"can't be read: {error.Message}"

            match content with
            | Error message -> problem "" message
            | Ok tree ->
                let parent = tree["extends"]

                for key in fileKeys do
                    tree.Remove key |> ignore

                let own = {
                    File = path
                    Prefix = ""
                    Tree = tree
                }

                match parent with
                | null -> Ok [ own ]
                | :? JsonValue as value when value.GetValueKind() = JsonValueKind.String ->
                    let folder = Path.GetDirectoryName path |> Option.ofObj |> Option.defaultValue ""

                    load (full :: seen) (Path.Combine(folder, value.GetValue<string>()))
                    |> Result.map (fun under -> under @ [ own ])
                | other -> problem "extends" $"expected the name of a file, got {other.ToJsonString()}"

    load [] path

/// The value at this dotted path, if there is one. A `[n]` at its end is ignored.
let find (key: string) (tree: JsonObject) : (JsonNode | null) option =
    let rec go (node: JsonNode | null) (keys: string list) =
        match keys, node with
        | [], _ -> Some node
        | key :: rest, (:? JsonObject as o) when o.ContainsKey key -> go o[key] rest
        | _ -> None

    let path = (key.Split '[')[0]
    go tree (List.ofArray (path.Split '.'))

/// The same tree with dotted keys as objects: `"model.codes": …` becomes `"model": { "codes": … }`. Lists do not
/// change.
let rec nested (tree: JsonObject) : JsonObject =
    (JsonObject(), tree)
    ||> Seq.fold (fun whole pair ->
        let value: JsonNode | null =
            match pair.Value with
            | :? JsonObject as inner -> nested inner
            | other -> copy other

        match nest (pair.Key.Split '.') value with
        | :? JsonObject as part -> mergeObjects whole part
        | _ -> whole)

/// The file and the full key that set `key` last; `fallback` if only the defaults set it.
let origin (fallback: string) (layers: Layer list) (key: string) =
    match layers |> List.tryFindBack (fun layer -> (find key layer.Tree).IsSome) with
    | Some layer -> layer.File, layer.Prefix + key
    | None -> fallback, key

/// A canonical text: sorted keys, no white space. Fingerprints are computed from it.
let rec canonical (node: JsonNode | null) : string =
    match node with
    | null -> "null"
    | :? JsonObject as o ->
        let pairs =
            o
            |> Seq.sortWith (fun a b -> String.CompareOrdinal(a.Key, b.Key))
            |> Seq.map (fun pair -> $"{JsonSerializer.Serialize pair.Key}:{canonical pair.Value}")

        "{" + String.Join(",", pairs) + "}"
    | :? JsonArray as items -> "[" + String.Join(",", items |> Seq.map canonical) + "]"
    | value -> value.ToJsonString()
