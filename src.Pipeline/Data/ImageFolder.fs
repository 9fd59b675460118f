/// Images as files, in a folder or a zip: flat, or one folder per class, or either of these under `train`, `val` and `test`.
module DQ.Pipeline.Data.ImageFolder

open System
open System.IO
open FsToolkit.ErrorHandling
open DQ.Core.Images
open DQ.Pipeline

let private trainNames = [ "train"; "training" ]
let private validationNames = [ "val"; "valid"; "validation" ]
let private testNames = [ "test"; "testing" ]

let isImage (name: string) =
    ImageFile.Extensions
    |> Seq.exists (fun extension -> name.EndsWith(extension, StringComparison.OrdinalIgnoreCase))

/// A split of image files of the tree, in the given order.
let split (tree: FileTree) (names: string[]) (labels: int[] option) = {
    Count = names.Length
    Labels = labels
    Name = fun index -> names[index]
    Read = fun index -> ImageFile.Decode(tree.Read names[index])
}

/// The images below a folder of the tree, by class where its folders are classes.
type private Found =
    | Flat of string[]
    | Classes of (string * string[])[]

let private find (tree: FileTree) folder =
    let images = FileTree.filesUnder folder tree |> Array.filter isImage
    let place = if folder = "" then tree.Root else $"{tree.Root}/{folder}"
    let depth = if folder = "" then 0 else folder.Length + 1
    let isLoose = images |> Array.exists (fun name -> name.IndexOf('/', depth) < 0)

    if images.Length = 0 then
        let kinds = String.concat ", " ImageFile.Extensions
        Error(Data $"{place}: expected images ({kinds}), found none")
    elif isLoose then
        Ok(Flat images)
    else
        let byFolder =
            images
            |> Array.groupBy (fun name -> name[depth .. name.IndexOf('/', depth) - 1])
            |> dict

        FileTree.foldersIn folder tree
        |> List.ofArray
        |> List.traverseResultM (fun name ->
            match byFolder.TryGetValue name with
            | true, files -> Ok(name, files)
            | _ -> Error(Data $"{place}/{name}: expected images in this class folder, found none"))
        |> Result.map (Array.ofList >> Classes)

let private toSplit tree (classNames: string list) found =
    match found with
    | Flat names -> split tree names None
    | Classes groups ->
        let labelled = [|
            for name, files in groups ->
                let label = List.findIndex ((=) name) classNames
                [| for file in files -> file, label |]
        |]

        let names, labels = ImageSource.interleave labelled |> Array.unzip
        split tree names (Some labels)

/// A single folder around everything, as archives often have, is no class: the folder where the layout starts.
let rec private start (tree: FileTree) folder =
    let child name =
        if folder = "" then name else $"{folder}/{name}"

    let isLoose =
        tree.Files
        |> Array.exists (fun name ->
            isImage name
            && (Path.GetDirectoryName name |> string).Replace('\\', '/') = folder)

    match FileTree.foldersIn folder tree with
    | [| single |] when not isLoose && not (List.contains (single.ToLowerInvariant()) trainNames) ->
        start tree (child single)
    | folders -> folder, folders

/// Opens a folder or a zip of images.
let open' (path: string) : Result<ImageSource, StageError> =
    result {
        let! tree = FileTree.open' path
        let root, folders = start tree ""

        let child name =
            if root = "" then name else $"{root}/{name}"

        let named names =
            folders
            |> Array.tryFind (fun (folder: string) -> List.contains (folder.ToLowerInvariant()) names)

        let! train, validation, test =
            match named trainNames with
            | None -> find tree root |> Result.map (fun all -> all, None, None)
            | Some train ->
                result {
                    let optional names =
                        match named names with
                        | None -> Ok None
                        | Some folder -> find tree (child folder) |> Result.map Some

                    let! train = find tree (child train)
                    let! validation = optional validationNames
                    let! test = optional testNames
                    let known = trainNames @ validationNames @ testNames

                    let isStray (folder: string) =
                        not (List.contains (folder.ToLowerInvariant()) known)

                    do!
                        folders
                        |> Array.tryFind (fun folder ->
                            isStray folder && Array.exists isImage (FileTree.filesUnder (child folder) tree))
                        |> function
                            | None -> Ok()
                            | Some folder ->
                                Error(
                                    Data
                                        $"{tree.Root}/{child folder}: expected only train, val and test to hold images where there is a train folder"
                                )

                    return train, validation, test
                }

        let classNames =
            [ Some train; validation; test ]
            |> List.collect (function
                | Some(Classes groups) -> [ for name, _ in groups -> name ]
                | _ -> [])
            |> List.distinct
            |> List.sortWith (fun a b -> String.CompareOrdinal(a, b))

        return {
            ClassNames = classNames
            Shape = None
            Train = toSplit tree classNames train
            Validation = Option.map (toSplit tree classNames) validation
            Test = Option.map (toSplit tree classNames) test
            Files =
                tree.Origins
                |> List.filter (fun file ->
                    isImage file.Name
                    || file.Name.EndsWith(".zip", StringComparison.OrdinalIgnoreCase))
            OtherFiles = tree.Files |> Array.filter (not << isImage) |> Array.length
            Generator = None
            Close = tree.Close
        }
    }
