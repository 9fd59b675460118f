/// Parquet files with a column of encoded images, in the form of Hugging Face's datasets: a struct with `bytes`, and a
/// whole number for the class. The metadata `huggingface` has the names of classes.
/// Source: https://huggingface.co/docs/datasets/main/en/about_dataset_features and …/image_dataset.
module DQ.Pipeline.Data.ParquetImages

open System
open System.Collections.Generic
open System.IO
open System.Text.Json
open System.Text.Json.Nodes
open System.Text.RegularExpressions
open System.Threading.Tasks
open FsToolkit.ErrorHandling
open Parquet
open Parquet.Schema
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration

/// Number of row groups whose images are kept in memory, since files are read from beginning to end.
let private keptGroups = 2

let private splitWord =
    Regex(@"^(train|training|validation|valid|val|test|testing)(?![a-z])", RegexOptions.IgnoreCase)

let private wait (work: Task<'a>) = work.GetAwaiter().GetResult()

/// One file, opened: its reader, its columns, and the offsets of its row groups.
type private Opened = {
    Path: string
    Reader: ParquetReader
    Bytes: DataField
    Label: DataField option
    ClassNames: string list
    /// First row and number of rows of each group.
    Groups: (int * int)[]
} with

    member this.Rows = this.Groups |> Array.sumBy snd

/// The names of a column's classes in the metadata.
let private classNames (reader: ParquetReader) (column: string) =
    match reader.CustomMetadata.TryGetValue "huggingface" with
    | true, text ->
        try
            match JsonNode.Parse text with
            | null -> []
            | tree ->
                let names =
                    [ "info"; "features"; column; "names" ]
                    |> List.fold
                        (fun (node: JsonNode | null) key ->
                            match node with
                            | :? JsonObject as inner -> inner[key]
                            | _ -> null)
                        tree

                match names with
                | :? JsonArray as names -> [ for name in names -> string name ]
                | _ -> []
        with :? JsonException -> []
    | _ -> []

let private isWhole (field: DataField) =
    List.contains field.ClrType [ typeof<int64>; typeof<int32> ]

let private openFile (path: string) : Result<Opened, StageError> =
    let reader =
        try
            wait (ParquetReader.CreateAsync path)
        with
        | :? IOException -> reraise ()
        | error -> raise (InvalidDataException $"{path}: expected a Parquet file: {error.Message}")

    let fields = List.ofArray (reader.Schema.GetDataFields())

    let images =
        fields
        |> List.filter (fun field -> field.Path.ToList() |> Seq.last = "bytes" && field.MaxRepetitionLevel = 0)

    match images with
    | [ bytes ] ->
        let whole =
            fields
            |> List.filter (fun field ->
                Seq.length (field.Path.ToList()) = 1
                && isWhole field
                && field.MaxRepetitionLevel = 0)

        // the column with names, else the column named label
        let label =
            whole
            |> List.tryFind (fun field -> not (classNames reader field.Name).IsEmpty)
            |> Option.orElse (whole |> List.tryFind (fun field -> field.Name = "label"))

        let counts = [|
            for index in 0 .. reader.RowGroupCount - 1 do
                use group = reader.OpenRowGroupReader index
                int group.RowCount
        |]

        Ok {
            Path = path
            Reader = reader
            Bytes = bytes
            Label = label
            ClassNames =
                label
                |> Option.map (fun field -> classNames reader field.Name)
                |> Option.defaultValue []
            Groups = Array.zip (Array.scan (+) 0 counts |> Array.take counts.Length) counts
        }
    | others ->
        let names =
            fields |> List.map (fun field -> string field.Path) |> String.concat ", "

        (reader :> IAsyncDisposable).DisposeAsync().AsTask().Wait()

        Error(Data $"{path}: expected one column of images (a struct with bytes), found {others.Length} among {names}")

/// Labels of a file; None if it has none, or if one is missing (−1 or null), as in secret test splits.
let private labelsOf (file: Opened) : int[] option =
    file.Label
    |> Option.bind (fun field ->
        let labels = [|
            for index in 0 .. file.Groups.Length - 1 do
                use group = file.Reader.OpenRowGroupReader index
                let count = snd file.Groups[index]

                if field.ClrType = typeof<int64> then
                    let values: Nullable<int64>[] = Array.zeroCreate count
                    wait (task { do! group.ReadAsync<int64>(field, values.AsMemory()) })

                    for value in values do
                        if value.HasValue then int value.Value else -1
                else
                    let values: Nullable<int32>[] = Array.zeroCreate count
                    wait (task { do! group.ReadAsync<int32>(field, values.AsMemory()) })

                    for value in values do
                        if value.HasValue then value.Value else -1
        |]

        if labels |> Array.exists (fun label -> label < 0) then
            None
        else
            Some labels)

/// Images of the row groups that were read last.
type private GroupCache() =
    let gate = obj ()
    let kept = List<struct (string * int * byte[][])>()

    /// The encoded image of a row in a group.
    member _.Image(file: Opened, index: int, row: int) : byte[] =
        lock gate (fun () ->
            let found =
                kept
                |> Seq.tryFind (fun struct (path, group, _) -> path = file.Path && group = index)

            match found with
            | Some(struct (_, _, images)) -> images[row]
            | None ->
                use group = file.Reader.OpenRowGroupReader index
                let images: byte[][] = Array.zeroCreate (snd file.Groups[index])
                wait (task { do! group.ReadAsync(file.Bytes, images.AsMemory()) })

                if kept.Count = keptGroups then
                    kept.RemoveAt 0

                kept.Add(struct (file.Path, index, images))
                images[row])

let private split (cache: GroupCache) maxPixels (files: Opened list) : SourceSplit =
    let places = [|
        for file in files do
            for index in 0 .. file.Groups.Length - 1 do
                for row in 0 .. snd file.Groups[index] - 1 -> struct (file, index, row)
    |]

    let name place =
        let struct (file, index, row) = places[place]
        $"{Path.GetFileName file.Path}[{fst file.Groups[index] + row}]"

    let labels = files |> List.map labelsOf |> List.allOrNone

    {
        Count = places.Length
        Labels = labels |> Option.map Array.concat
        Name = name
        Read =
            fun place ->
                let struct (file, index, row) = places[place]

                let bytes = cache.Image(file, index, row)

                if isNull (box bytes) then
                    raise (InvalidDataException "the row has no image bytes")

                ImageFile.Decode(bytes, maxPixels)
    }

/// The split of a file, by its name or that of its folder; None if neither names a split.
let private splitOf (root: string) (path: string) =
    Path.GetRelativePath(root, path).Split([| '/'; '\\' |])
    |> Array.rev
    |> Array.tryPick (fun part ->
        match splitWord.Match part with
        | found when found.Success -> Some(found.Groups[1].Value.ToLowerInvariant()[..1])
        | _ -> None)

let private close (files: Opened list) =
    for file in files do
        (file.Reader :> IAsyncDisposable).DisposeAsync().AsTask().Wait()

let private source path maxPixels (files: Opened list) : Result<ImageSource, StageError> =
    let root =
        if Directory.Exists path then
            path
        else
            nonNull (Path.GetDirectoryName(Path.GetFullPath path))

    let cache = GroupCache()

    let of' word =
        files |> List.filter (fun file -> splitOf root file.Path = Some word)

    let train =
        match of' "tr" with
        | [] -> files |> List.filter (fun file -> (splitOf root file.Path).IsNone)
        | files -> files

    let optional files =
        match files with
        | [] -> None
        | files -> Some(split cache maxPixels files)

    match train with
    | [] -> Error(Data $"{path}: expected Parquet files of a split train, found none")
    | train ->
        let trainSplit = split cache maxPixels train
        let validation, test = optional (of' "va"), optional (of' "te")

        let names =
            train
            |> List.tryPick (fun file ->
                if file.ClassNames.IsEmpty then
                    None
                else
                    Some file.ClassNames)

        let most =
            [ Some trainSplit; validation; test ]
            |> List.choose id
            |> List.collect (fun part -> part.Labels |> Option.map List.ofArray |> Option.defaultValue [])
            |> List.fold max -1

        let named = names |> Option.defaultValue []

        Ok {
            // a label without a name has its number as name
            ClassNames =
                if most < 0 then
                    []
                else
                    [
                        for label in 0 .. max most (named.Length - 1) ->
                            List.tryItem label named |> Option.defaultValue (string label)
                    ]
            Shape = None
            Train = trainSplit
            Validation = validation
            Test = test
            Files = [ for file in files -> ImageSource.file root file.Path ]
            LeftOut = []
            OtherFiles = 0
            Notes = []
            Generator = None
            Close = fun () -> close files
        }

/// Opens a file, or a folder of them.
let open' (path: string) (maxPixels: int64) : Result<ImageSource, StageError> =
    ImageSource.guard path (fun () ->
        let paths =
            if Directory.Exists path then
                [ for file in (FolderWalk.walk path).Files -> file.Path ]
                |> List.filter _.EndsWith(".parquet", StringComparison.OrdinalIgnoreCase)
                |> List.sort
            else
                [ path ]

        if paths.IsEmpty then
            Error(Data $"{path}: expected .parquet files, found none")
        else
            paths
            |> List.traverseResultM openFile
            |> Result.bind (fun files ->
                let opened = source path maxPixels files

                if opened.IsError then
                    close files

                opened))
