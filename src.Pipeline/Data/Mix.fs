/// Several sources as one, in proportions: a JSON file that lists them.
module DQ.Pipeline.Data.Mix

open System
open System.IO
open System.Text.Json
open System.Text.Json.Nodes
open DQ.Core
open FsToolkit.ErrorHandling
open DQ.Pipeline
open DQ.Pipeline.Configuration

/// One of the sources.
type Part = {
    Source: SourceKind
    /// Null for `dead_leaves`.
    Path: string | null
    /// Images to draw; used by `dead_leaves`.
    Count: int
    /// Its images in the mix are proportional to this; None where no part has one: all images of all parts.
    Weight: float option
}

/// Bytes that the file may have.
let private mostBytes = 1L <<< 20

let private options =
    JsonDocumentOptions(CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true)

let private keys = set [ "source"; "path"; "count"; "weight" ]

let private text (value: JsonValue) =
    match value.TryGetValue<string>() with
    | true, NonNull text -> Some text
    | _ -> None

let private real (value: JsonValue) =
    if value.GetValueKind() = JsonValueKind.Number then
        Some(value.GetValue<float>())
    else
        None

let private whole (value: JsonValue) =
    real value
    |> Option.filter (fun number -> number = floor number && abs number <= float Int32.MaxValue)
    |> Option.map int

/// The entry's value under a key; None where it is missing.
let private optional
    at
    (entry: JsonObject)
    (key: string)
    (read: JsonValue -> 'value option)
    expected
    : Result<'value option, StageError> =
    match entry[key] with
    | null -> Ok None
    | node ->
        let found =
            match node with
            | :? JsonValue as value -> read value
            | _ -> None

        match found with
        | Some value -> Ok(Some value)
        | None -> Error(Data $"{at}.{key}: expected {expected}, got {node.ToJsonString()}")

let private part (file: string) index (node: JsonNode | null) : Result<Part, StageError> =
    result {
        let at = $"{file}: [{index}]"

        let! entry =
            match node with
            | :? JsonObject as entry -> Ok entry
            | _ -> Error(Data $"{at}: expected an object with source, path and weight")

        match entry |> Seq.tryFind (fun field -> not (keys.Contains field.Key)) with
        | Some field -> return! Error(Data $"{at}.{field.Key}: expected source, path, count or weight")
        | None -> ()

        let! name = optional at entry "source" text "the name of a source"

        let names =
            String.concat ", " (SourceKind.names |> List.except [ SourceKind.Mix.Name ])

        let! source =
            SourceKind.all
            |> List.tryFind (fun kind -> Some kind.Name = name && kind <> SourceKind.Mix)
            |> Result.requireSome (
                let given = defaultArg name "none"
                Data $"{at}.source: expected one of {names}, got {given}"
            )

        let! path = optional at entry "path" text "a path"
        let! count = optional at entry "count" whole "a whole number of images"
        let! weight = optional at entry "weight" real "a number above 0"

        match weight with
        | Some weight when not (weight > 0.0 && Double.IsFinite weight) ->
            return! Error(Data $"{at}.weight: expected a number above 0, got {weight}")
        | _ -> ()

        match source, path, count with
        | SourceKind.DeadLeaves, Some _, _ ->
            return! Error(Data $"{at}.path: expected none with source dead_leaves, whose images are drawn")
        | SourceKind.DeadLeaves, None, Some count when count >= 1 -> ()
        | SourceKind.DeadLeaves, None, _ ->
            return! Error(Data $"{at}.count: expected how many images to draw, at least 1")
        | _, _, Some _ -> return! Error(Data $"{at}.count: expected with source dead_leaves only")
        | _, None, None ->
            return! Error(Data $"{at}.path: expected the folder or file of source {source.Name}, got none")
        | _ -> ()

        let folder = nonNull (Path.GetDirectoryName(Path.GetFullPath file))

        return {
            Source = source
            Path = path |> Option.map (fun path -> Path.GetFullPath(path, folder)) |> Option.toObj
            Count = defaultArg count 0
            Weight = weight
        }
    }

/// The file's parts; paths in it are relative to it.
let read (file: string) : Result<Part list, StageError> =
    result {
        let! node =
            try
                Ok(JsonNode.Parse(RegularFile.ReadAllBytes(file, mostBytes), documentOptions = options))
            with :? JsonException as problem ->
                Error(Data $"{file}: expected a JSON list of sources: {ImageSource.firstLine problem.Message}")

        let! entries =
            match node with
            | :? JsonArray as entries when entries.Count > 0 -> Ok entries
            | _ ->
                let example = """[{ "source": "cifar10", "path": "DIR", "weight": 2 }]"""
                Error(Data $"{file}: expected a list of sources, such as {example}")

        let! parts = entries |> Seq.mapi (part file) |> List.ofSeq |> List.sequenceResultM
        let weighted = parts |> List.filter _.Weight.IsSome

        match
            parts
            |> List.countBy (fun part -> part.Source, part.Path)
            |> List.tryFind (fun (_, count) -> count > 1)
        with
        | Some((source, path), _) ->
            let place =
                path
                |> Option.ofObj
                |> Option.map (fun path -> $" {path}")
                |> Option.defaultValue ""

            return! Error(Data $"{file}: expected every source once, got {source.Name}{place} more than once")
        | None -> ()

        match weighted with
        | [] -> ()
        | _ when weighted.Length = parts.Length -> ()
        | _ -> return! Error(Data $"{file}: expected a weight for every source or for none")

        return parts
    }

/// How many images of each part the mix has: as many as the weights allow without any image twice.
let counts (weights: float option list) (available: int list) : int list =
    match List.choose id weights with
    | [] -> available
    | weights ->
        let perWeight =
            List.map2 (fun weight count -> float count / weight) weights available
            |> List.min

        // the part that is used up keeps its last image whatever rounding does
        List.map2 (fun weight count -> min count (int (Math.Round(weight * perWeight)))) weights available

/// Part and index of each image: every stretch of the order has the parts in their proportions.
let order (counts: int list) : struct (int * int)[] =
    [|
        for part, count in List.indexed counts do
            for index in 0 .. count - 1 -> struct ((float index + 0.5) / float count, part, index)
    |]
    |> Array.sort
    |> Array.map (fun struct (_, part, index) -> struct (part, index))

/// The parts' training images. Their own validation and test images stay unseen: the mix is cut like a source that has none.
let ofParts (parts: (Part * ImageSource) list) : ImageSource =
    let sources = [| for _, source in parts -> source |]

    let counts =
        counts [ for part, _ in parts -> part.Weight ] [ for source in sources -> source.Train.Count ]

    let images = order counts

    let label index =
        $"{index}-{(fst parts[index]).Source.Name}"

    {
        ClassNames = []
        Shape =
            match sources |> Array.map _.Shape |> Array.distinct with
            | [| single |] -> single
            | _ -> None
        Train = {
            Count = images.Length
            Labels = None
            Name =
                fun place ->
                    let struct (part, index) = images[place]
                    $"{label part}/{sources[part].Train.Name index}"
            Read =
                fun place ->
                    let struct (part, index) = images[place]
                    sources[part].Train.Read index
        }
        Validation = None
        Test = None
        Files = [
            for part, source in Array.indexed sources do
                for file in source.Files do
                    {
                        file with
                            Name = $"{label part}/{file.Name}"
                    }
        ]
        LeftOut = [ for source in sources -> source.LeftOut ] |> List.concat
        OtherFiles = sources |> Array.sumBy _.OtherFiles
        Notes = [
            for index, (source, count) in Seq.indexed (Seq.zip sources counts) do
                $"{label index}: {count} of {source.Train.Count} training images"

                if source.Validation.IsSome || source.Test.IsSome then
                    $"{label index}: its own validation and test images are not used"

                yield! source.Notes
        ]
        Generator =
            // what the order depends on, and what is drawn
            Some(
                [
                    "mix/1"
                    for (part, source), count in Seq.zip parts counts do
                        $"{part.Source.Name} {count} {Option.toObj source.Generator} {part.Count}"
                ]
                |> String.concat "; "
            )
        Close =
            fun () ->
                for source in sources do
                    source.Close()
    }

/// Opens all parts of the file at `path`, each by `openPart`.
let open' (openPart: Part -> Result<ImageSource, StageError>) (path: string) : Result<ImageSource, StageError> =
    result {
        let! parts = read path
        let opened = ResizeArray<Part * ImageSource>()

        try
            for part in parts do
                let! source = openPart part
                opened.Add(part, source)

            let mix = ofParts (List.ofSeq opened)
            opened.Clear()
            return mix
        finally
            // those that were open before one could not be opened
            for _, source in opened do
                source.Close()
    }
