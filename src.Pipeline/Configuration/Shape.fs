/// The shape of the configuration, found in the typed records by reflection: the keys, and the type of each value.
module DQ.Pipeline.Configuration.Shape

open System
open System.Collections.Generic
open System.Reflection
open System.Text.Json
open System.Text.Json.Nodes
open System.Text.Json.Serialization
open DQ.Pipeline

type Shape =
    /// A string, boolean or number of this type; null too if the flag is set.
    | Value of Type * nullable: bool
    /// One of these names.
    | Choice of string list
    /// A list of values.
    | Values of Type
    /// An object with these keys and no others.
    | Section of Field list

and Field = {
    /// The key in snake_case.
    Key: string
    /// The property whose documentation describes the key.
    Member: PropertyInfo
    Shape: Shape
    /// The value in the record of which this is the shape.
    Current: obj | null
}

let serializer =
    JsonSerializerOptions(PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = false)

/// The serializer's name of a property.
let private key (property: PropertyInfo) =
    match property.GetCustomAttribute<JsonPropertyNameAttribute>() with
    | null -> JsonNamingPolicy.SnakeCaseLower.ConvertName property.Name
    | own -> own.Name

let private isOurs (t: Type) =
    t.IsClass
    && (t.Namespace |> Option.ofObj |> Option.exists (fun name -> name.StartsWith "DQ."))

let private elementOf (t: Type) =
    if
        t.IsGenericType
        && typeof<System.Collections.IEnumerable>.IsAssignableFrom t
        && t <> typeof<string>
    then
        Some(t.GetGenericArguments()[0])
    else
        None

/// The names of a union's cases in configurations; None if it is not a union of cases without fields.
let private namesOf (t: Type) =
    if
        FSharp.Reflection.FSharpType.IsUnion t
        && not t.IsGenericType
        && FSharp.Reflection.FSharpType.GetUnionCases t
           |> Array.forall (fun case -> case.GetFields().Length = 0)
    then
        Some [
            for case in FSharp.Reflection.FSharpType.GetUnionCases t ->
                JsonSerializer
                    .SerializeToElement(FSharp.Reflection.FSharpValue.MakeUnion(case, [||]), t, serializer)
                    .GetString()
                |> nonNull
        ]
    else
        None

/// Types that may be null: F#'s option, and .NET's Nullable in C# records.
let private optionOf (t: Type) =
    if t.IsGenericType && t.GetGenericTypeDefinition() = typedefof<_ option> then
        Some(t.GetGenericArguments()[0])
    else
        Nullable.GetUnderlyingType t |> Option.ofObj

/// The keys of a record: F# fields, or C# properties that can be initialised (computed properties are not settings).
let rec fields (record: obj) : Field list =
    let isRecord = FSharp.Reflection.FSharpType.IsRecord(record.GetType())

    [
        for property in record.GetType().GetProperties(BindingFlags.Public ||| BindingFlags.Instance) do
            if isRecord || property.CanWrite then
                yield field record property.Name
    ]

/// One key of a record by its property's name.
and field (record: obj) (name: string) : Field =
    let property =
        match record.GetType().GetProperty name with
        | null -> invalidArg (nameof name) $"{record.GetType().Name} has no property {name}"
        | property -> property

    let current = property.GetValue record
    let t = property.PropertyType

    let shape =
        match optionOf t, elementOf t, current with
        | Some inner, _, _ -> Value(inner, true)
        | _, Some element, _ -> Values element
        | _ when (namesOf t).IsSome -> Choice (namesOf t).Value
        | _, _, NonNull nested when isOurs t -> Section(fields nested)
        | _ ->
            let nullable =
                t = typeof<string>
                && NullabilityInfoContext().Create(property).ReadState = NullabilityState.Nullable

            Value(t, nullable)

    {
        Key = key property
        Member = property
        Shape = shape
        Current = current
    }

/// The tree of a record's values.
let rec tree (fields: Field list) : JsonObject =
    let result = JsonObject()

    for field in fields do
        result[field.Key] <-
            match field.Shape with
            | Section inner -> tree inner :> JsonNode | null
            | Value _
            | Choice _
            | Values _ -> JsonSerializer.SerializeToNode(field.Current, serializer)

    result

/// Every dotted key.
let rec keys (fields: Field list) : string list = [
    for field in fields do
        match field.Shape with
        | Section inner -> yield! keys inner |> List.map (fun key -> $"{field.Key}.{key}")
        | _ -> yield field.Key
]

let private expectation (t: Type) nullable =
    let name =
        if t = typeof<string> then "a string"
        elif t = typeof<bool> then "true or false"
        elif t = typeof<float> then "a number"
        else "a whole number"

    if nullable then $"{name} or null" else name

let private holds (t: Type) (value: JsonValue) =
    let kind = value.GetValueKind()

    if t = typeof<string> then
        kind = JsonValueKind.String
    elif t = typeof<bool> then
        kind = JsonValueKind.True || kind = JsonValueKind.False
    elif kind <> JsonValueKind.Number then
        false
    else
        let number = JsonSerializer.SerializeToElement value

        if t = typeof<int> then fst (number.TryGetInt32())
        elif t = typeof<int64> then fst (number.TryGetInt64())
        else Double.IsFinite(number.GetDouble())

let private show (node: JsonNode | null) =
    match node with
    | null -> "null"
    | :? JsonObject -> "an object"
    | :? JsonArray as items when items.Count > 8 -> "a list"
    | node -> node.ToJsonString()

/// The problems of a (partial) tree: unknown keys and wrong types. `allKeys` is for suggestions.
let check (allKeys: string list) (fields: Field list) (tree: JsonObject) : (string * string) list =
    let unknown (siblings: Field list) (key: string) =
        let elsewhere =
            allKeys
            |> List.tryFind (fun known -> known.EndsWith("." + key, StringComparison.Ordinal))

        match Nearest.find key [ for field in siblings -> field.Key ], elsewhere with
        | Some near, _ -> $"unknown key, did you mean '{near}'?"
        | None, Some full -> $"unknown key here, did you mean '{full}'?"
        | None, None ->
            let known = siblings |> List.map _.Key |> String.concat ", "
            $"unknown key; known here: {known}"

    let rec section prefix (fields: Field list) (tree: JsonObject) = [
        for pair in tree do
            let key = prefix + pair.Key

            match fields |> List.tryFind (fun field -> field.Key = pair.Key) with
            | None -> yield key, unknown fields pair.Key
            | Some field -> yield! value key field.Shape pair.Value
    ]

    and value key shape (node: JsonNode | null) =
        match shape, node with
        | Section fields, (:? JsonObject as o) -> section (key + ".") fields o
        | Section _, other -> [ key, $"expected an object {{ … }}, got {show other}" ]
        | Value(_, true), null -> []
        | Value(t, _), (:? JsonValue as v) when holds t v -> []
        | Value(t, nullable), other -> [ key, $"expected {expectation t nullable}, got {show other}" ]
        | Choice names, (:? JsonValue as v) when v.GetValueKind() = JsonValueKind.String ->
            if List.contains (v.GetValue<string>()) names then
                []
            else
                let listed = String.concat ", " names
                [ key, $"expected one of {listed}, got '{v.GetValue<string>()}'" ]
        | Choice names, other ->
            let listed = String.concat ", " names
            [ key, $"expected one of {listed}, got {show other}" ]
        | Values t, (:? JsonArray as items) -> [
            for index, item in Seq.indexed items do
                yield! value $"{key}[{index}]" (Value(t, false)) item
          ]
        | Values t, other -> [ key, $"expected a list, each {expectation t false}, got {show other}" ]

    section "" fields tree
