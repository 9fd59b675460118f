/// Down-sampled ImageNet as Chrabaszcz, Loshchilov & Hutter 2017 distribute it: `train_data_batch_1` … and `val_data`,
/// pickled or npz (`.npz`), anywhere in a folder, which may contain several sizes. `val_data` is the test split here.
/// Another data set of the same name, by van den Oord et al. 2016, has PNG files; use the source `folder` for these.
module DQ.Pipeline.Data.DownsampledImageNet

open System
open System.IO
open System.Text.RegularExpressions
open FsToolkit.ErrorHandling
open DQ.Core.Formats
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration

let private classes = 1000

let private fileName = Regex(@"^(?:train_data_batch_(\d{1,4})|val_data)(?:\.npz)?$")

type private Batch = {
    Path: string
    /// Number of the batch, from 1; None for the validation file.
    Number: int option
    Content: DownsampledBatch
}

let private close (batches: Batch list) =
    for batch in batches do
        batch.Content.Dispose()

let private openAll (path: string) =
    let inflated = InflatedFiles()
    let mutable opened = []

    try
        for file in (FolderWalk.walk path).Files do
            let named = fileName.Match(nonNull (Path.GetFileName file.Path))

            if named.Success then
                let file = file.Path
                let number = named.Groups[1]

                opened <-
                    {
                        Path = file
                        Number = if number.Success then Some(int number.Value) else None
                        Content = DownsampledBatch.Open(file, inflated)
                    }
                    :: opened

        List.rev opened
    with _ ->
        close opened
        reraise ()

/// The batches of one size: if there are several, the smallest that is not below the requested size.
let private ofOneSize path (imageSize: int option) (batches: Batch list) =
    let sizes = batches |> List.map _.Content.Size |> List.distinct |> List.sort
    let listed = sizes |> List.map string |> String.concat ", "

    match sizes, imageSize with
    | [], _ -> Error(Data $"{path}: expected train_data_batch_1 … and val_data (.npz or pickled), found none of them")
    | [ size ], None -> Ok(size, batches)
    | _, None -> Error(Data $"{path}: found images of sides {listed}: expected data.image_size to say which")
    | _, Some least ->
        match sizes |> List.tryFind (fun size -> size >= least) with
        | None ->
            Error(Data $"{path}: expected images of at least {least}×{least} (data.image_size), found sides {listed}")
        | Some size -> Ok(size, batches |> List.filter (fun batch -> batch.Content.Size = size))

let private split (batches: Batch list) size =
    let places = [|
        for index, batch in List.indexed batches do
            for place in 0 .. batch.Content.Count - 1 -> index, place
    |]

    let batches = Array.ofList batches

    {
        Count = places.Length
        Labels =
            Some [|
                for batch in batches do
                    yield! batch.Content.Labels
            |]
        Name =
            fun index ->
                let batch, place = places[index]
                $"{Path.GetFileName batches[batch].Path}[{place}]"
        Read =
            fun index ->
                let batch, place = places[index]
                let image = PixelImage(3, size, size)
                batches[batch].Content.Read(place, image.Bytes.AsSpan())
                image
    }

/// Opens a folder.
let open' (path: string) (imageSize: int option) : Result<ImageSource, StageError> =
    ImageSource.guard path (fun () ->
        if not (Directory.Exists path) then
            Error(Data $"{path}: expected a folder of down-sampled ImageNet, found none")
        else
            let all = openAll path

            let opened =
                result {
                    let! size, batches = ofOneSize path imageSize all
                    let train = batches |> List.filter _.Number.IsSome |> List.sortBy _.Number
                    let test = batches |> List.filter _.Number.IsNone

                    match train, test with
                    | [], _ -> return! Error(Data $"{path}: expected train_data_batch_1 … of side {size}, found none")
                    | _, [ _ ] -> ()
                    | _, others ->
                        return!
                            Error(
                                Data
                                    $"{path}: expected one file val_data of side {size}, found {others.Length} of them"
                            )

                    match train |> List.countBy _.Number |> List.tryFind (fun (_, count) -> count > 1) with
                    | Some(number, _) ->
                        let number = Option.get number
                        return! Error(Data $"{path}: found train_data_batch_{number} of side {size} more than once")
                    | None -> ()

                    return {
                        ClassNames = [ for number in 1..classes -> string number ]
                        Shape = Some(3, size, size)
                        Train = split train size
                        Validation = None
                        Test = Some(split test size)
                        Files = [ for batch in train @ test -> ImageSource.file path batch.Path ]
                        LeftOut = []
                        OtherFiles = 0
                        Notes = []
                        Generator = None
                        Close = fun () -> close all
                    }
                }

            if opened.IsError then
                close all

            opened)
