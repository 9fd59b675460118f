/// The part of JSON Schema that docs/schemas/ uses: checking a value, and writing a first schema from one.
module DQ.Tests.Pipeline.JsonShape

open System.Text.Json
open System.Text.Json.Nodes

/// Keys whose objects are maps by name: their own keys belong to no schema.
let private maps = set [ "splits"; "config"; "runs_by_id"; "properties"; "$defs" ]

let private kindOf (node: JsonNode | null) =
    match node with
    | null -> "null"
    | node ->
        match node.GetValueKind() with
        | JsonValueKind.Object -> "object"
        | JsonValueKind.Array -> "array"
        | JsonValueKind.String -> "string"
        | JsonValueKind.True
        | JsonValueKind.False -> "boolean"
        | _ -> "number"

/// What is wrong with a value, by its path; empty where it fits.
let rec problems (path: string) (schema: JsonObject) (value: JsonNode | null) : string list =
    let kind = kindOf value

    let kinds =
        match schema["type"] with
        | null -> [ kind ]
        | :? JsonArray as several -> [ for one in several -> string one ]
        | one -> [ string one ]

    if not (List.contains kind kinds) then
        let expected = String.concat " or " kinds
        [ $"{path}: expected {expected}, got {kind}" ]
    else
        match value, schema["properties"], schema["items"] with
        | (:? JsonObject as fields), (:? JsonObject as known), _ -> [
            match schema["required"] with
            | :? JsonArray as required ->
                for name in required do
                    if not (fields.ContainsKey(string name)) then
                        $"{path}.{name}: missing"
            | _ -> ()
            for field in fields do
                match known[field.Key] with
                | :? JsonObject as inner -> yield! problems $"{path}.{field.Key}" inner field.Value
                | _ -> $"{path}.{field.Key}: not in the schema"
          ]
        | (:? JsonArray as items), _, (:? JsonObject as inner) -> [
            for index, item in Seq.indexed items do
                yield! problems $"{path}[{index}]" inner item
          ]
        | _ -> []

/// What both schemas allow: another type, or a null in one of them, allows any value.
let rec private merged (a: JsonObject) (b: JsonObject) : JsonObject =
    let typeOf (schema: JsonObject) =
        schema["type"] |> Option.ofObj |> Option.map string

    let both (key: string) =
        match a[key], b[key] with
        | (:? JsonObject as a), (:? JsonObject as b) -> Some(a, b)
        | _ -> None

    let schema = JsonObject()

    if typeOf a = typeOf b then
        schema["type"] <- a["type"] |> Option.ofObj |> Option.map _.DeepClone() |> Option.toObj

        match both "properties" with
        | Some(mine, theirs) ->
            let names = Seq.append mine theirs |> Seq.map _.Key |> Seq.distinct |> List.ofSeq
            let properties = JsonObject()

            for name in names do
                properties[name] <-
                    match mine[name], theirs[name] with
                    | (:? JsonObject as a), (:? JsonObject as b) -> merged a b
                    | (:? JsonObject as one), _
                    | _, (:? JsonObject as one) -> one.DeepClone().AsObject()
                    | _ -> JsonObject()

            schema["properties"] <- properties

            schema["required"] <-
                JsonArray [|
                    for name in names do
                        if mine.ContainsKey name && theirs.ContainsKey name then
                            JsonValue.Create name :> JsonNode | null
                |]
        | None -> ()

        match both "items" with
        | Some(mine, theirs) -> schema["items"] <- merged mine theirs
        | None -> ()

    if isNull schema["type"] then
        schema.Remove "type" |> ignore

    schema

/// A schema that this value fits.
let rec ofValue (value: JsonNode | null) : JsonObject =
    let schema = JsonObject()

    match value with
    | null -> ()
    | :? JsonObject as fields ->
        schema["type"] <- "object"
        let properties = JsonObject()

        for field in fields do
            properties[field.Key] <-
                if maps.Contains field.Key && kindOf field.Value = "object" then
                    JsonObject [
                        System.Collections.Generic.KeyValuePair("type", JsonValue.Create "object" :> JsonNode | null)
                    ]
                else
                    ofValue field.Value

        schema["properties"] <- properties
        schema["required"] <- JsonArray [| for field in fields -> JsonValue.Create field.Key :> JsonNode | null |]
    | :? JsonArray as items ->
        schema["type"] <- "array"

        if items.Count > 0 then
            schema["items"] <- items |> Seq.map ofValue |> Seq.reduce merged
    | value -> schema["type"] <- kindOf value

    schema
