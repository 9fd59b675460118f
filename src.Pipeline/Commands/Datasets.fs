/// `dq datasets`: what is packed in the artifacts folder, and how it looks.
module DQ.Pipeline.Commands.Datasets

open System
open System.IO
open System.Threading.Tasks
open Argu
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Data
open DQ.Pipeline.Numbers
open DQ.Pipeline.Storage
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type ShowArguments =
    | [<MainCommand; ExactlyOnce>] Dataset of DATASET: string
    | [<Unique; AltCommandLine("-o")>] Output of FILE: string
    | [<Unique>] Split of SPLIT: string
    | [<Unique>] Count of N: int

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Dataset _ -> "its folder, or a part of its name."
            | Output _ -> "the PNG to write the preview to (default: preview.png in its folder)."
            | Split _ -> "of the preview: train (default), validation or test."
            | Count _ ->
                "images of the preview, the first ones (default: 64); of a data set with classes, as many of each as there are."

type ListArguments =
    | [<Unique>] Name of TEXT: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Name _ -> "only data sets whose name has this text."

[<CliPrefix(CliPrefix.None)>]
type Arguments =
    | List of ParseResults<ListArguments>
    | Show of ParseResults<ShowArguments>

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | List _ -> "packed data sets: shape, images per split, classes, bytes."
            | Show _ -> "one of them, with a sheet of its images as PNG."

let example =
    "dq datasets list\n  dq datasets show dead_leaves -o leaves.png --count 36"

/// Images are shown at least this large.
let private shownSide = 64

let private columns = 8

/// The data set that is meant: a folder, or a part of a name.
let private find (store: Store) (name: string) =
    if PackedSplit.isDataset name then
        Ok name
    else
        PackedSplit.named store name
        |> Result.bind (
            Result.requireSome (
                Data
                    $"{name}: expected a data set in {Path.Combine(store.Root, RunLayout.Datasets)}, found none; see dq datasets list"
            )
        )

let private bytes (record: DatasetRecord) =
    record.Splits()
    |> Seq.sumBy (fun struct (_, split) ->
        split.Images.Bytes
        + (match split.Labels with
           | null -> 0L
           | labels -> labels.Bytes))

let private shape (record: DatasetRecord) =
    $"{record.Width}×{record.Height}×{record.Channels}"

let private list (place: Workplace) (store: Store) (arguments: ParseResults<ListArguments>) =
    result {
        let! sets =
            PackedSplit.fitting store (arguments.GetResult(ListArguments.Name, ""))
            |> List.traverseResultM DQ.Pipeline.Data.Dataset.read

        let text =
            if sets.IsEmpty then
                $"no data sets in {Path.Combine(store.Root, RunLayout.Datasets)}\n"
            else
                Table.render Table.Left [
                    [ "data set"; "shape"; "train"; "validation"; "test"; "classes"; "size" ]
                    for set in sets do
                        let record = set.Record

                        [
                            set.Name
                            shape record
                            string record.Train.Count
                            string record.Validation.Count
                            string record.Test.Count
                            (match record.ClassNames.Count with
                             | 0 -> "–"
                             | count -> string count)
                            RunsDelete.shown (bytes record)
                        ]
                ]

        place.Output.Result(
            text,
            {|
                Datasets = [
                    for set in sets ->
                        {|
                            Name = set.Name
                            Folder = set.Folder
                            Source = set.Record.Source
                            Channels = set.Record.Channels
                            Height = set.Record.Height
                            Width = set.Record.Width
                            Train = set.Record.Train.Count
                            Validation = set.Record.Validation.Count
                            Test = set.Record.Test.Count
                            Classes = set.Record.ClassNames.Count
                            Bytes = bytes set.Record
                        |}
                ]
            |}
        )
    }

/// Indices of the first images, or of the first of each class in turn.
let private chosen (part: DatasetPart) count =
    match part.Labels with
    | None -> [| 0 .. min count part.Images.Count - 1 |]
    | Some labels ->
        Array.indexed labels
        |> Array.groupBy snd
        |> Array.sortBy fst
        |> Array.map (snd >> Array.map fst)
        |> ImageSource.interleave
        |> Array.truncate count

let private preview (part: DatasetPart) count =
    let images = part.Images

    let pictures = [|
        for index in chosen part count ->
            PixelImage(images[index].ToArray(), images.Channels, images.Height, images.Width)
    |]

    let zoom = max 1 (shownSide / max images.Height images.Width)
    ImageGrid.Tile(pictures, columns, zoom = zoom)

let private show (place: Workplace) (store: Store) (arguments: ParseResults<ShowArguments>) =
    result {
        let name = arguments.GetResult(Split, "train")
        let count = arguments.GetResult(Count, 64)

        let! split =
            DQ.Pipeline.Data.Split.tryParse name
            |> Result.requireSome (Usage $"--split {name}: expected train, validation or test")

        if count < 1 || count > 10_000 then
            return! Error(Usage $"--count: expected a number from 1 to 10000, got {count}")

        let! folder = find store (arguments.GetResult Dataset)
        let! set = DQ.Pipeline.Data.Dataset.read folder
        use! images = DQ.Pipeline.Data.Dataset.open' set
        let part = images.Part split

        if part.Images.Count = 0 then
            return! Error(Data $"{folder}: expected images in {name}, found none")

        let file = arguments.GetResult(Output, Path.Combine(folder, "preview.png"))
        ImageFile.WritePng(file, preview part count)
        let record = set.Record

        let perClass =
            match part.Labels with
            | None -> []
            | Some labels -> [
                for label, count in labels |> Array.countBy id |> Array.sort -> record.ClassNames[label], count
              ]

        let values (numbers: float seq) =
            numbers |> Seq.map (number "F4") |> String.concat " "

        let text =
            Table.render Table.Left [
                [ "data set"; set.Name ]
                [ "folder"; set.Folder ]
                [ "source"; record.Source ]
                [ "from"; record.SourcePath |> Option.ofObj |> Option.defaultValue "–" ]
                [ "shape"; shape record ]
                for struct (part, split) in record.Splits() do
                    [ part; string split.Count ]
                [ "splits"; record.SplitRule ]
                [ "mean"; values record.TrainMean ]
                [ "deviation"; values record.TrainStd ]
                [ "left out"; string record.CorruptImages.Count ]
                [ "size"; RunsDelete.shown (bytes record) ]
                for className, count in List.truncate 20 perClass do
                    [ $"class {className}"; $"{count} in {name}" ]
                if perClass.Length > 20 then
                    [ ""; $"and {perClass.Length - 20} classes more" ]
                for note in record.Notes do
                    [ "note"; note ]
                [ "preview"; file ]
            ]

        place.Output.Result(
            text,
            {|
                Name = set.Name
                Folder = set.Folder
                Dataset = record
                Preview = file
            |}
        )
    }

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    let store = Workplace.store place

    Task.Run(fun () ->
        match arguments.GetSubCommand() with
        | List arguments -> list place store arguments
        | Show arguments -> show place store arguments)
