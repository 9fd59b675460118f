/// Images as files, in a folder or a zip: flat, or one folder per class, or either of these under `train`, `val` and
/// `test`.
module DQ.Pipeline.Data.ImageFolder

open System
open System.IO
open FsToolkit.ErrorHandling
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration

let private trainNames = [ "train"; "training" ]
let private validationNames = [ "val"; "valid"; "validation" ]
let private testNames = [ "test"; "testing" ]

/// A split of image files of the tree, in the given order, with a maximum number of pixels per image.
let split (tree: FileTree) maxPixels (names: string[]) (labels: int[] option) = {
    Count = names.Length
    Labels = labels
    Name = fun index -> names[index]
    Read = fun index -> ImageFile.Decode(tree.Read (ImageFile.MostBytes maxPixels) names[index], maxPixels)
}

let private isSplitName (folder: string) =
    List.contains (folder.ToLowerInvariant()) (trainNames @ validationNames @ testNames)

/// The images below a folder of the tree, by class if its folders are classes.
type private Found =
    | Flat of string[]
    /// Images by folder, and images beside the folders.
    | Classes of groups: (string * string[])[] * loose: string[]

let private find (tree: FileTree) folder =
    let images = FileTree.filesUnder folder tree |> Array.filter FileTree.isImage
    let place = if folder = "" then tree.Root else $"{tree.Root}/{folder}"
    let depth = if folder = "" then 0 else folder.Length + 1

    let loose, inFolders =
        images |> Array.partition (fun name -> name.IndexOf('/', depth) < 0)

    if images.Length = 0 then
        let kinds = String.concat ", " ImageFile.Extensions
        Error(Data $"{place}: expected images ({kinds}), found none")
    elif loose.Length >= inFolders.Length then
        // if as many images or more are beside the folders, the folders are not classes
        Ok(Flat images)
    else
        let byFolder =
            inFolders
            |> Array.groupBy (fun name -> name[depth .. name.IndexOf('/', depth) - 1])
            |> dict

        FileTree.foldersIn folder tree
        |> List.ofArray
        |> List.traverseResultM (fun name ->
            match byFolder.TryGetValue name with
            | true, files -> Ok(name, files)
            | _ -> Error(Data $"{place}/{name}: expected images in this class folder, found none"))
        |> Result.map (fun groups -> Classes(Array.ofList groups, loose))

let private toSplit tree maxPixels (classNames: string list) layout =
    match layout with
    | Flat names -> split tree maxPixels names None
    | Classes(groups, _) ->
        let labelled = [|
            for name, files in groups ->
                let label = List.findIndex ((=) name) classNames
                [| for file in files -> file, label |]
        |]

        let names, labels = ImageSource.interleave labelled |> Array.unzip
        split tree maxPixels names (Some labels)

/// Images directly in a folder.
let private looseIn (tree: FileTree) folder =
    tree.Files
    |> Array.filter (fun name ->
        FileTree.isImage name
        && (Path.GetDirectoryName name |> string).Replace('\\', '/') = folder)

/// The folder where the layout starts: a single folder that contains everything, as in many archives, is not a class.
let rec private start (tree: FileTree) folder =
    let child name =
        if folder = "" then name else $"{folder}/{name}"

    match FileTree.foldersIn folder tree with
    | [| single |] when (looseIn tree folder).Length = 0 && not (isSplitName single) -> start tree (child single)
    | folders -> folder, folders

/// Opens a folder or a zip of images, with a maximum number of pixels per image.
let open' (path: string) (maxPixels: int64) : Result<ImageSource, StageError> =
    result {
        let! tree = FileTree.open' path

        let root, folders = start tree ""

        let child name =
            if root = "" then name else $"{root}/{name}"

        let holdsImages folder =
            Array.exists FileTree.isImage (FileTree.filesUnder (child folder) tree)

        let splits, others =
            folders |> Array.filter holdsImages |> Array.partition isSplitName

        let places names =
            names
            |> Array.map (fun folder -> $"{tree.Root}/{child folder}")
            |> String.concat " and "

        let named names =
            match
                splits
                |> Array.filter (fun (folder: string) -> List.contains (folder.ToLowerInvariant()) names)
            with
            | [||] -> Ok None
            | [| single |] -> Ok(Some single)
            | several -> Error(Data $"{places several}: expected one folder for a split, found {several.Length}")

        let! trainFolder = named trainNames
        let! validationFolder = named validationNames
        let! testFolder = named testNames

        let optional folder =
            folder |> Option.traverseResult (fun folder -> find tree (child folder))

        let! train, validation, test =
            match trainFolder with
            | None when splits.Length > 0 && others.Length = 0 ->
                Error(
                    Data
                        $"{places splits}: found no train beside them: expected train with the training images, or data.path to name the one folder to take all images from"
                )
            | None -> find tree root |> Result.map (fun all -> all, None, None)
            | Some _ when others.Length > 0 ->
                Error(
                    Data
                        $"{tree.Root}/{child others[0]}: expected only train, val and test to hold images where there is a train folder"
                )
            | Some _ when (looseIn tree root).Length > 0 ->
                let loose = looseIn tree root

                Error(
                    Data
                        $"{tree.Root}/{loose[0]}: expected only train, val and test to hold images where there is a train folder, found {loose.Length} beside them"
                )
            | Some train ->
                result {
                    let! train = find tree (child train)
                    let! validation = optional validationFolder
                    let! test = optional testFolder
                    return train, validation, test
                }

        let parts = [ Some train; validation; test ] |> List.choose id

        let named = [
            trainFolder |> Option.defaultValue root, Some train
            validationFolder |> Option.defaultValue "", validation
            testFolder |> Option.defaultValue "", test
        ]

        let placeOf folder =
            if folder = root then
                tree.Root
            else
                $"{tree.Root}/{child folder}"

        let hasClasses = parts |> List.exists _.IsClasses

        let classNames =
            parts
            |> List.collect (function
                | Classes(groups, _) -> [ for name, _ in groups -> name ]
                | Flat _ -> [])
            |> List.distinct
            |> List.sortWith (fun a b -> String.CompareOrdinal(a, b))

        return {
            ClassNames = classNames
            Shape = None
            Train = toSplit tree maxPixels classNames train
            Validation = Option.map (toSplit tree maxPixels classNames) validation
            Test = Option.map (toSplit tree maxPixels classNames) test
            Files =
                tree.Origins
                |> List.filter (fun file -> FileTree.isImage file.Name || FileTree.isZip file.Name)
            LeftOut = [
                yield! tree.LeftOut
                for part in parts do
                    match part with
                    | Flat _ -> ()
                    | Classes(_, loose) ->
                        for name in loose do
                            CorruptImage(
                                name,
                                "lies beside the class folders: expected every image in a folder of its class; move it into one, or away"
                            )
            ]
            OtherFiles = tree.Files |> Array.filter (not << FileTree.isImage) |> Array.length
            Notes = [
                yield! tree.Notes
                if trainFolder.IsNone && splits.Length > 0 then
                    $"{places splits}: read as a class like the other folders, because there is no train folder"
                for folder, part in named do
                    let place = if folder = root then root else child folder
                    let depth = if place = "" then 0 else place.Length + 1

                    match part with
                    | Some(Flat images) when images |> Array.exists (fun name -> name.IndexOf('/', depth) >= 0) ->
                        $"{placeOf folder}: at least as many images are beside the folders as in them: the folders are not classes"
                    | Some(Flat _) when hasClasses ->
                        $"{placeOf folder}: has no class folders, unlike other splits: its images have no labels"
                    | _ -> ()
            ]
            Generator = None
            Close = tree.Close
        }
    }
