/// Tiny ImageNet's layout, in a folder or in its zips: `train/<wnid>/images/*.JPEG`, and `val/images` labelled by
/// `val/val_annotations.txt`. Its test images have no labels; its validation images are the test split here.
module DQ.Pipeline.Data.TinyImageNet

open System
open System.Text
open FsToolkit.ErrorHandling
open DQ.Pipeline
open DQ.Pipeline.Configuration

let private annotations = "val/val_annotations.txt"

/// Maximum bytes of a list that is read as text.
let private mostText = 1L <<< 28

let private lines (tree: FileTree) name =
    Encoding.UTF8
        .GetString(tree.Read mostText name)
        .Split('\n', StringSplitOptions.RemoveEmptyEntries ||| StringSplitOptions.TrimEntries)

/// The first of the names that `words.txt` gives a class, or its identifier.
let private className (tree: FileTree) prefix =
    let words = prefix + "words.txt"

    let known =
        dict [
            if Array.contains words tree.Files then
                for line in lines tree words do
                    match line.Split '\t' with
                    | [| wnid; names |] -> wnid, names.Split(',')[0]
                    | _ -> ()
        ]

    fun wnid ->
        match known.TryGetValue wnid with
        | true, name -> name
        | _ -> wnid

let private trainSplit (tree: FileTree) maxPixels prefix (wnids: string list) =
    result {
        let! groups =
            wnids
            |> List.indexed
            |> List.traverseResultM (fun (label, wnid) ->
                match
                    FileTree.filesUnder $"{prefix}train/{wnid}" tree
                    |> Array.filter FileTree.isImage
                with
                | [||] ->
                    Error(Data $"{tree.Root}/{prefix}train/{wnid}: expected images in this class folder, found none")
                | files -> Ok [| for file in files -> file, label |])

        let names, labels = ImageSource.interleave (Array.ofList groups) |> Array.unzip
        return ImageFolder.split tree maxPixels names (Some labels)
    }

let private testSplit (tree: FileTree) maxPixels prefix (wnids: string list) =
    let labelOf = dict [ for label, wnid in List.indexed wnids -> wnid, label ]
    let place = $"{tree.Root}/{prefix}{annotations}"

    lines tree (prefix + annotations)
    |> List.ofArray
    |> List.traverseResultM (fun line ->
        match line.Split '\t' with
        | fields when fields.Length >= 2 && labelOf.ContainsKey fields[1] ->
            Ok($"{prefix}val/images/{fields[0]}", labelOf[fields[1]])
        | _ -> Error(Data $"{place}: expected lines of a file and a class of the train folder, got '{line}'"))
    |> Result.map (fun rows ->
        let names, labels = Array.unzip (Array.ofList rows)
        ImageFolder.split tree maxPixels names (Some labels))

/// Opens the folder `tiny-imagenet-200`, a folder that contains it, or its zips, with a maximum number of pixels per
/// image.
let open' (path: string) (maxPixels: int64) : Result<ImageSource, StageError> =
    result {
        let! tree = FileTree.open' path

        let! prefix =
            tree.Files
            |> Array.tryFind (fun name ->
                name = annotations || name.EndsWith("/" + annotations, StringComparison.Ordinal))
            |> Option.map (fun name -> name[.. name.Length - annotations.Length - 1])
            |> Result.requireSome (Data $"{path}: expected Tiny ImageNet's layout, found no {annotations} in it")

        let wnids = FileTree.foldersIn (prefix + "train") tree |> List.ofArray // in ordinal order

        if wnids.IsEmpty then
            return! Error(Data $"{path}: expected Tiny ImageNet's layout, found no class folders in {prefix}train")

        let! train = trainSplit tree maxPixels prefix wnids
        let! test = ImageSource.guard path (fun () -> testSplit tree maxPixels prefix wnids)

        let! names =
            ImageSource.guard path (fun () -> Ok(List.map (className tree prefix) wnids))

        return {
            ClassNames = names
            Shape = Some(3, 64, 64)
            Train = train
            Validation = None
            Test = Some test
            Files = tree.Origins
            LeftOut = tree.LeftOut
            OtherFiles = 0
            Notes = tree.Notes
            Generator = None
            Close = tree.Close
        }
    }
