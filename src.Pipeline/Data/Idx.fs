/// The idx files of MNIST and its successors: a big-endian header, then one byte per pixel or label; plain or gzipped.
module DQ.Pipeline.Data.Idx

open System
open System.Buffers.Binary
open System.IO
open System.IO.Compression
open FsToolkit.ErrorHandling
open DQ.Core.Images
open DQ.Pipeline

let private imageMagic = 2051
let private labelMagic = 2049

/// `train-images-idx3-ubyte` as published, or `train-images.idx3-ubyte` as some copies have it; with or without `.gz`.
let private find folder (part: string) (kind: string) =
    [
        for stem in [ $"{part}-{kind}-ubyte"; $"{part}.{kind}-ubyte" ] do
            stem
            stem + ".gz"
    ]
    |> List.map (fun name -> Path.Combine(folder, name))
    |> List.tryFind File.Exists

let private content (path: string) =
    ImageSource.guard path (fun () ->
        if path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) then
            use stream = new GZipStream(File.OpenRead path, CompressionMode.Decompress)
            use memory = new MemoryStream()
            stream.CopyTo memory
            Ok(memory.ToArray())
        else
            Ok(File.ReadAllBytes path))

/// The sizes in the header, after checking it and the length.
let private dimensions path magic axes (bytes: byte[]) =
    let headerBytes = 4 + 4 * axes

    let number place =
        BinaryPrimitives.ReadInt32BigEndian(ReadOnlySpan(bytes, 4 * place, 4))

    if bytes.Length < headerBytes then
        Error(Data $"{path}: expected an idx header of {headerBytes} bytes, got {bytes.Length} bytes in all")
    elif number 0 <> magic then
        Error(Data $"{path}: expected an idx file with magic number {magic}, got {number 0}")
    else
        let sizes = [ for axis in 1..axes -> number axis ]

        let expected =
            List.fold (fun total size -> total * int64 size) 1L sizes + int64 headerBytes

        if List.exists (fun size -> size < 1) sizes then
            Error(Data $"{path}: expected sizes above 0, got {sizes}")
        elif int64 bytes.Length <> expected then
            let shape = sizes |> List.map string |> String.concat "×"
            Error(Data $"{path}: expected {expected} bytes for {shape}, got {bytes.Length}")
        else
            Ok sizes

/// The split's images and labels, its image shape, and its files; None when there is no image file.
let private split folder (part: string) =
    result {
        match find folder $"{part}-images" "idx3" with
        | None -> return None
        | Some imagePath ->
            let! bytes = content imagePath
            let! sizes = dimensions imagePath imageMagic 3 bytes
            let count, height, width = sizes[0], sizes[1], sizes[2]

            let! labelPath, labels =
                match find folder $"{part}-labels" "idx1" with
                | None -> Ok(None, None)
                | Some path ->
                    result {
                        let! labels = content path
                        let! sizes = dimensions path labelMagic 1 labels

                        if sizes[0] <> count then
                            return! Error(Data $"{path}: expected {count} labels, as many as images, got {sizes[0]}")

                        return Some path, Some(Array.map int labels[8..])
                    }

            let split = {
                Count = count
                Labels = labels
                Name = fun index -> $"{Path.GetFileName imagePath}[{index}]"
                Read =
                    fun index ->
                        PixelImage(Array.sub bytes (16 + index * height * width) (height * width), 1, height, width)
            }

            return Some(split, (1, height, width), imagePath :: Option.toList labelPath)
    }

/// Opens a folder with `train-images-idx3-ubyte` and, where there are any, its labels and the `t10k` files.
let open' (path: string) : Result<ImageSource, StageError> =
    ImageSource.guard path (fun () ->
        result {
            let! train = split path "train"

            let! train, shape, trainFiles =
                train
                |> Result.requireSome (
                    Data $"{path}: expected the folder of idx files, found no train-images-idx3-ubyte in it"
                )

            let! test = split path "t10k"

            do!
                match test with
                | Some(_, testShape, file :: _) when testShape <> shape ->
                    Error(Data $"{file}: expected images of the training images' size {shape}, got {testShape}")
                | _ -> Ok()

            let test, testFiles =
                match test with
                | Some(split, _, files) -> Some split, files
                | None -> None, []

            let classCount =
                [ Some train; test ]
                |> List.choose (Option.bind _.Labels)
                |> List.map (fun labels -> 1 + Array.max labels)
                |> List.fold max 0

            return {
                ClassNames = [ for label in 0 .. classCount - 1 -> string label ]
                Shape = Some shape
                Train = train
                Validation = None
                Test = test
                Files = trainFiles @ testFiles |> List.map (ImageSource.file path)
                OtherFiles = 0
                Generator = None
                Close = ignore
            }
        })
