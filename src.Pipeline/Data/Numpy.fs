/// Pixels in NumPy's formats: an `.npz` archive, an `.npy` file, or a folder of these. The names of arrays are those of
/// Keras (`x_train`, `y_train`), of MedMNIST (`train_images`, `train_labels`), or `images` and `labels`.
module DQ.Pipeline.Data.Numpy

open System
open System.IO
open FsToolkit.ErrorHandling
open DQ.Core.Formats
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration

/// Names of images and of labels, by split.
let private names (split: string list) (bare: (string * string) list) = [
    for word in split do
        for images, labels in [ "images", "labels"; "x", "y"; "data", "labels"; "X", "y" ] do
            yield $"{word}_{images}", $"{word}_{labels}"
            yield $"{images}_{word}", $"{labels}_{word}"
    yield! bare
    for word in split do
        yield word, $"{word}_labels"
]

let private train =
    names [ "train" ] [ "images", "labels"; "x", "y"; "X", "y"; "data", "labels"; "arr_0", "arr_1" ]

let private validation = names [ "val"; "validation"; "valid" ] []
let private test = names [ "test" ] []

let private isArray (file: string) =
    [ ".npy"; ".npz" ]
    |> List.exists (fun ending -> file.EndsWith(ending, StringComparison.OrdinalIgnoreCase))

let private filesAt (path: string) =
    if Directory.Exists path then
        [ for file in (FolderWalk.walk path).Files -> file.Path ] |> List.filter isArray
    else
        [ path ]

/// A split's images, and its labels if there are any.
let private find path (arrays: NumpyArrays) candidates =
    match candidates |> List.tryFind (fun (images, _) -> Seq.contains images arrays.Names) with
    | None -> Ok None
    | Some(imagesName, labelsName) ->
        result {
            let images = arrays.Images imagesName

            if not (Seq.contains labelsName arrays.Names) then
                return Some(imagesName, images, None)
            else
                let labels = arrays.Labels labelsName

                if labels.Length <> images.Count then
                    return!
                        Error(
                            Data
                                $"{path}: expected a label for each of the {images.Count} images of '{imagesName}', found {labels.Length} in '{labelsName}'"
                        )

                match labels |> Array.tryFind (fun label -> label < 0L || label > 1_000_000L) with
                | Some label -> return! Error(Data $"{path}: expected labels from 0 in '{labelsName}', found {label}")
                | None -> return Some(imagesName, images, Some(Array.map int labels))
        }

let private split (name: string, images: NumpyImages, labels) = {
    Count = images.Count
    Labels = labels
    Name = fun index -> $"{name}[{index}]"
    Read = images.Read
}

let private source path (arrays: NumpyArrays) : Result<ImageSource, StageError> =
    result {
        let! train = find path arrays train
        let! validation = find path arrays validation
        let! test = find path arrays test

        // a single array of any name
        let! train =
            match train, List.ofSeq arrays.Names with
            | None, [ only ] -> find path arrays [ only, "" ]
            | found, _ -> Ok found

        match train with
        | None ->
            let listed = String.concat ", " arrays.Names

            return!
                Error(
                    Data
                        $"{path}: expected an array of training images such as train_images, x_train or images, found {listed}"
                )
        | Some((_, images, _) as train) ->
            let parts = train :: List.choose id [ validation; test ]
            let shape = images.Channels, images.Height, images.Width

            match
                parts
                |> List.tryFind (fun (_, other, _) -> (other.Channels, other.Height, other.Width) <> shape)
            with
            | Some(name, other, _) ->
                return!
                    Error(
                        Data
                            $"{path}: expected images of one shape, found {images.Height}×{images.Width}×{images.Channels} and in '{name}' {other.Height}×{other.Width}×{other.Channels}"
                    )
            | None -> ()

            let classes =
                parts
                |> List.collect (fun (_, _, labels) -> labels |> Option.map List.ofArray |> Option.defaultValue [])
                |> List.fold max -1

            return {
                ClassNames = [ for label in 0..classes -> string label ]
                Shape = Some shape
                Train = split train
                Validation = Option.map split validation
                Test = Option.map split test
                Files = [
                    for file in arrays.Files -> ImageSource.fileCalled (nonNull (Path.GetFileName file)) file
                ]
                LeftOut = []
                OtherFiles = 0
                Notes = [
                    let used = [ for name, _, _ in parts -> name ] |> String.concat ", "
                    $"images of the arrays {used}"
                ]
                Generator = None
                Close = fun () -> arrays.Dispose()
            }
    }

/// Opens an archive, a file or a folder.
let open' (path: string) : Result<ImageSource, StageError> =
    ImageSource.guard path (fun () ->
        match filesAt path with
        | [] -> Error(Data $"{path}: expected .npy or .npz files, found none")
        | files ->
            let arrays = NumpyArrays.Open(ResizeArray files, InflatedFiles())
            let opened = source path arrays

            if opened.IsError then
                arrays.Dispose()

            opened)
