/// The images that `dq encode` and `dq compress` take of a packed data set.
module DQ.Pipeline.Commands.PackedSplit

open System
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Data
open DQ.Pipeline.Storage
open FsToolkit.ErrorHandling

/// Whether a folder holds a packed data set.
let isDataset (folder: string) =
    File.Exists(Path.Combine(folder, DatasetRecord.FileName))

/// The folders of the packed data sets whose names have this text, by name.
let fitting (store: Store) (text: string) : string list =
    let packed = Path.Combine(store.Root, RunLayout.Datasets)

    [
        if Directory.Exists packed then
            for folder in Directory.GetDirectories packed |> Array.sort do
                if
                    isDataset folder
                    && (nonNull (Path.GetFileName folder)).Contains(text, StringComparison.Ordinal)
                then
                    folder
    ]

/// The only packed data set whose name has this text; none where none fits.
let named (store: Store) (text: string) : Result<string option, StageError> =
    match fitting store text with
    | [] -> Ok None
    | [ folder ] -> Ok(Some folder)
    | several ->
        let names = several |> List.map (Path.GetFileName >> nonNull) |> String.concat ", "
        Error(Data $"'{text}' fits several data sets: {names}")

/// The folder of the packed data set that is meant, if one is.
let datasetFolder (store: Store) (inputs: string list) =
    match inputs with
    | [ folder ] when isDataset folder -> Ok(Some folder)
    | [ name ] when not (Path.Exists name) ->
        let packed = Path.Combine(store.Root, RunLayout.Datasets)

        named store name
        |> Result.bind (Result.requireSome (Data $"{name}: expected an image or a data set in {packed}, found neither"))
        |> Result.map Some
    | _ -> Ok None

/// A split of an open data set, and how many of its first images are asked for.
type PackedSplit = {
    Name: string
    Set: OpenDataset
    Images: PackedImages
    Count: int
}

/// Opens the split that `--split` names (default: train), cut by `--limit`.
let openIn (context: StageContext) folder (split: string option) (limit: int option) =
    result {
        let name = defaultArg split "train"

        let! part =
            Split.tryParse name
            |> Result.requireSome (Usage $"--split {name}: expected train, validation or test")

        match limit with
        | Some count when count < 1 -> return! Error(Usage $"--limit: expected a number of at least 1, got {count}")
        | _ -> ()

        let! dataset = Dataset.check context.Standing.Hashes folder
        let! opened = Dataset.open' dataset
        let images = (opened.Part part).Images

        return {
            Name = name
            Set = opened
            Images = images
            Count = limit |> Option.fold min images.Count
        }
    }

/// Files have no splits: what only a data set has is not ignored.
let refuseForFiles (split: string option) (limit: int option) =
    match split, limit with
    | None, None -> Ok()
    | Some _, _ -> Error(Usage "--split: expected with a packed data set only")
    | None, Some _ -> Error(Usage "--limit: expected with a packed data set only")
