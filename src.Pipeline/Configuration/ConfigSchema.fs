/// The JSON Schema that gives editors completion, made from the typed default and the records' documentation.
module DQ.Pipeline.Configuration.ConfigSchema

open System
open System.Collections.Generic
open System.IO
open System.Reflection
open System.Text.Encodings.Web
open System.Text.Json
open System.Text.Json.Nodes
open System.Xml.Linq
open DQ.Pipeline

/// Summaries by member name, from the documentation files beside the assemblies.
let private summaries =
    lazy
        (let byName = Dictionary<string, XElement>()

         for assembly in [ Assembly.GetExecutingAssembly(); typeof<DQ.Core.SpecProblem>.Assembly ] do
             let file = Path.Combine(AppContext.BaseDirectory, $"{assembly.GetName().Name}.xml")

             if File.Exists file then
                 for entry in XDocument.Load(file).Descendants(XName.Get "member") do
                     match entry.Attribute(XName.Get "name"), entry.Element(XName.Get "summary") with
                     | NonNull name, NonNull summary -> byName[name.Value] <- summary
                     | _ -> ()

         byName)

let rec private text (node: XNode) : string =
    match node with
    | :? XText as plain -> plain.Value
    | :? XElement as element when element.HasAttributes ->
        // a reference to another property: its key
        let target = (nonNull element.FirstAttribute).Value
        JsonNamingPolicy.SnakeCaseLower.ConvertName(target[target.LastIndexOf '.' + 1 ..])
    | :? XElement as element -> element.Nodes() |> Seq.map text |> String.concat ""
    | _ -> ""

let private describe (property: PropertyInfo) =
    let owner = (nonNull property.DeclaringType).FullName

    match summaries.Value.TryGetValue $"P:{owner}.{property.Name}" with
    | true, summary ->
        let words =
            (text summary).Replace("`", "").Split([| ' '; '\n'; '\r' |], StringSplitOptions.RemoveEmptyEntries)

        Some(String.Join(" ", words))
    | _ -> None

/// Keys that take one of a few names.
let private choices =
    Settings.choices
    @ [
        for key, names in DQ.Pipeline.Allocation.AllocationConfig.choices -> $"allocation.{key}", names
    ]

let private typeName (t: Type) =
    if t = typeof<string> then "string"
    elif t = typeof<bool> then "boolean"
    elif t = typeof<float> then "number"
    else "integer"

let private word (text: string) : JsonNode | null = JsonValue.Create text

let private words (texts: string seq) : JsonNode =
    JsonArray([| for text in texts -> word text |])

/// The least value of a key, on the schema of the value or of a list's items.
let private bound key (schema: JsonObject) =
    match List.tryFind (fun (name, _) -> name = key) Settings.minima with
    | Some(_, least: float) -> schema["minimum"] <- JsonValue.Create least
    | None when List.contains key Settings.positive -> schema["exclusiveMinimum"] <- JsonValue.Create 0
    | None -> ()

let rec private ofField prefix (field: Shape.Field) : JsonNode =
    let key = prefix + field.Key

    let schema =
        match field.Shape with
        | Shape.Section inner -> section (key + ".") inner
        | Shape.Values element ->
            let schema = JsonObject()
            schema["type"] <- word "array"
            let items = JsonObject()
            items["type"] <- word (typeName element)
            bound key items
            schema["items"] <- items
            schema
        | Shape.Choice names ->
            let schema = JsonObject()
            schema["type"] <- word "string"
            schema["enum"] <- words names
            schema
        | Shape.Value(t, nullable) ->
            let schema = JsonObject()

            schema["type"] <-
                if nullable then
                    words [ typeName t; "null" ]
                else
                    nonNull (word (typeName t))

            match List.tryFind (fun (name, _) -> name = key) choices with
            | Some(_, names) -> schema["enum"] <- words names
            | None -> ()

            bound key schema
            schema

    match field.Shape with
    | Shape.Section _ -> ()
    | _ ->
        schema["default"] <-
            (Shape.tree [ field ])[field.Key]
            |> Option.ofObj
            |> Option.map _.DeepClone()
            |> Option.toObj

    match describe field.Member with
    | Some description -> schema["description"] <- word description
    | None -> ()

    schema

and private section prefix (fields: Shape.Field list) : JsonObject =
    let properties = JsonObject()

    for field in fields do
        properties[field.Key] <- ofField prefix field

    let schema = JsonObject()
    schema["type"] <- word "object"
    schema["additionalProperties"] <- JsonValue.Create false
    schema["properties"] <- properties
    schema

let private described (description: string) (schema: (string * (JsonNode | null)) list) =
    let node = JsonObject()

    for name, value in schema do
        node[name] <- value

    node["description"] <- word description
    node

/// The schema of the `sweep` object; `dq sweep` checks the names of trends.
let private sweep () : JsonNode =
    let object' () = "type", word "object"
    let listOf (items: JsonNode) = [ "type", word "array"; "items", items; "minItems", JsonValue.Create 1 ]
    let properties = JsonObject()

    properties["grid"] <-
        described "Lists of values by dotted key, such as model.codebooks: every combination is a cell." [ object' () ]

    properties["cells"] <-
        described
            "Cells besides those of the grid: each an object of settings by dotted key."
            (listOf (described "Settings of one cell." [ object' () ]))

    let random = JsonObject()
    random["count"] <- described "How many cells to draw." [ "type", word "integer" ]
    random["seed"] <- described "Of the draws; the first ones stay when count grows." [ "type", word "integer" ]

    random["ranges"] <-
        described
            "By dotted key a list of values, or { from, to, scale }: scale is linear or log; whole numbers where from and to are."
            [ object' () ]

    properties["random"] <-
        described "Cells besides those, drawn at random." [
            object' ()
            "additionalProperties", JsonValue.Create false
            "required", words [ "count"; "ranges" ]
            "properties", random
        ]

    properties["seeds"] <-
        described
            "Every cell is run with each; the table has mean and deviation over them. Without it, the configuration's own seed."
            (listOf (described "Seed." [ "type", word "integer" ]))

    properties["published"] <-
        described "A file of published numbers, to stand beside those measured; relative to this file." [
            "type", word "string"
        ]

    properties["trends"] <-
        described
            "What was published, to be looked for in the cells' numbers."
            (listOf (described "Name of a trend." [ "enum", words DQ.Pipeline.Sweeps.Trends.names ]))

    described "What dq sweep runs: a grid, a list of cells or both, at every seed." [
        object' ()
        "additionalProperties", JsonValue.Create false
        "properties", properties
    ]

/// The schema of the `progressive` object.
let private progressive () : JsonNode =
    let object' () = "type", word "object"
    let properties = JsonObject()
    let stage = section "" DQ.Pipeline.Progressive.Phases.phaseFields
    stage["type"] <- words [ "object"; "null" ]
    stage["required"] <- words [ "image_size" ]

    (nonNull (nonNull stage["properties"]).["image_size"]).AsObject().Remove "default"
    |> ignore

    properties["stages"] <-
        described "Stages by name, one after the other; each starts from the weights and codebooks of the one before." [
            object' ()
            "minProperties", JsonValue.Create 1
            "additionalProperties", stage
        ]

    let scratch = section "" DQ.Pipeline.Progressive.Phases.scratchFields
    scratch["type"] <- words [ "object"; "null" ]

    scratch["description"] <-
        word
            "For comparison: training at the last size from new weights, with as many multiply-adds as the whole chain."

    properties["scratch"] <- scratch

    described "What dq progressive runs: one model trained at growing image sizes." [
        object' ()
        "additionalProperties", JsonValue.Create false
        "properties", properties
    ]

/// The schema as text, ending in a new line.
let generate () =
    let fields = Settings.fields Settings.defaults
    let root = section "" fields
    let properties = (nonNull root["properties"]).AsObject()

    properties["$schema"] <- described "This schema, for editors." [ "type", word "string" ]

    properties["extends"] <-
        described "A configuration file this one is laid over; relative to this file." [ "type", word "string" ]

    properties["variants"] <-
        described "Runs by name, each laid over the rest: all are trained and evaluated and stand in one table." [
            "type", word "object"
            "additionalProperties", section "" fields
        ]

    properties["sweep"] <- sweep ()
    properties["progressive"] <- progressive ()

    let allocation =
        section "allocation." DQ.Pipeline.Allocation.AllocationConfig.fields

    allocation["description"] <- word "What dq allocate makes: bits for the channels of a network's features."
    properties["allocation"] <- allocation

    let whole = JsonObject()
    whole["$schema"] <- word "https://json-schema.org/draft/2020-12/schema"
    whole["title"] <- word "DQ configuration"
    // the editor of VS Code takes both for errors in .json files otherwise
    whole["allowComments"] <- JsonValue.Create true
    whole["allowTrailingCommas"] <- JsonValue.Create true

    for pair in root do
        whole[pair.Key] <- pair.Value |> Option.ofObj |> Option.map _.DeepClone() |> Option.toObj

    let options =
        JsonSerializerOptions(WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping)

    whole.ToJsonString options + "\n"
