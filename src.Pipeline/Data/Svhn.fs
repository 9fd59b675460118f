/// SVHN's cropped digits: `train_32x32.mat` and `test_32x32.mat`, each with images `X` (32, 32, 3, N) and labels `y`
/// (N), where the digit 0 has label 10.
module DQ.Pipeline.Data.Svhn

open System.IO
open FsToolkit.ErrorHandling
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration

let private size = 32
let private plane = size * size

/// The image (C, H, W) with an index. In the file the first axis varies fastest, as in MATLAB.
let private image (values: byte[]) index =
    let image = PixelImage(3, size, size)

    for channel in 0..2 do
        for row in 0 .. size - 1 do
            for column in 0 .. size - 1 do
                image.Bytes[channel * plane + row * size + column] <-
                    values[(index * 3 + channel) * plane + column * size + row]

    image

let private split folder (name: string) =
    let path = Path.Combine(folder, name)

    ImageSource.guard path (fun () ->
        result {
            if not (File.Exists path) then
                return! Error(Data $"{path}: expected SVHN's cropped digits, found no such file")

            let arrays = MatFile.read path [ "X"; "y" ]

            let find name =
                arrays
                |> List.tryFind (fun array -> array.Name = name)
                |> Result.requireSome (Data $"{path}: expected a numeric array {name}, found none")

            let! pixels = find "X"
            let! digits = find "y"

            let! count =
                match pixels.Dimensions with
                | [ 32; 32; 3 ] when pixels.Values.Length = 3 * plane -> Ok 1
                | [ 32; 32; 3; count ] when pixels.Values.Length = 3 * plane * count -> Ok count
                | dimensions -> Error(Data $"{path}: X: expected bytes of dimensions 32×32×3×N, got {dimensions}")

            let labels = MatFile.integers digits

            if labels.Length <> count then
                return! Error(Data $"{path}: y: expected {count} labels, as many as images, got {labels.Length}")

            match labels |> Array.tryFind (fun label -> label < 0 || label > 10) with
            | Some label -> return! Error(Data $"{path}: y: expected labels from 0 to 10, got {label}")
            | None ->
                return {
                    Count = count
                    Labels = Some(labels |> Array.map (fun label -> label % 10))
                    Name = fun index -> $"{name}[{index}]"
                    Read = image pixels.Values
                }
        })

/// Opens the folder with both files.
let open' (path: string) : Result<ImageSource, StageError> =
    result {
        let names = [ "train_32x32.mat"; "test_32x32.mat" ]
        let! train = split path names[0]
        let! test = split path names[1]

        return {
            ClassNames = [ for digit in 0..9 -> string digit ]
            Shape = Some(3, size, size)
            Train = train
            Validation = None
            Test = Some test
            Files = [ for name in names -> ImageSource.file path (Path.Combine(path, name)) ]
            LeftOut = []
            OtherFiles = 0
            Notes = []
            Generator = None
            Close = ignore
        }
    }
