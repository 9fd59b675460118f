/// Reads the idx files of MNIST and its successors: a big-endian header, then one byte per pixel or label; plain or
/// gzipped.
module DQ.Pipeline.Data.Idx

open System
open System.Buffers.Binary
open System.IO
open System.IO.Compression
open FsToolkit.ErrorHandling
open DQ.Core
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration

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

/// gzip makes at most this many bytes from one.
let private mostInflation = 1032L

/// The sizes in a file's header, and the bytes after it. Their number is that of the header, which the file's length
/// must allow.
let private read (path: string) magic axes =
    ImageSource.guard path (fun () ->
        result {
            use file = RegularFile.OpenRead path
            let start = Array.zeroCreate<byte> FileKind.Looked

            let looked =
                file.ReadAtLeast(start.AsSpan(), start.Length, throwOnEndOfStream = false)

            let what = FileKind.Describe(ReadOnlySpan(start, 0, looked))
            let isGzip = looked > 1 && start[0] = 0x1Fuy && start[1] = 0x8Buy
            let isNamedGzip = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase)

            if isNamedGzip && not isGzip then
                return! Error(Data $"{path}: expected a gzip file, as its name says, got {what}")

            if isGzip && not isNamedGzip then
                return! Error(Data $"{path}: expected an idx file, got {what}: name it .gz or unpack it")

            file.Position <- 0L

            use content: Stream =
                if isGzip then
                    new GZipStream(file, CompressionMode.Decompress)
                else
                    file

            let headerBytes = 4 + 4 * axes
            let header = Array.zeroCreate<byte> headerBytes

            let headerRead =
                content.ReadAtLeast(header.AsSpan(), headerBytes, throwOnEndOfStream = false)

            let number place =
                BinaryPrimitives.ReadInt32BigEndian(ReadOnlySpan(header, 4 * place, 4))

            if headerRead < headerBytes then
                return!
                    Error(Data $"{path}: expected an idx header of {headerBytes} bytes, got {headerRead} bytes in all")

            if number 0 <> magic then
                let what =
                    if isGzip || number 0 = imageMagic || number 0 = labelMagic then
                        ""
                    else
                        $" ({what})"

                return! Error(Data $"{path}: expected an idx file with magic number {magic}, got {number 0}{what}")

            let sizes = [ for axis in 1..axes -> number axis ]

            if List.exists (fun size -> size < 1) sizes then
                return! Error(Data $"{path}: expected sizes above 0, got {sizes}")

            let shape = sizes |> List.map string |> String.concat "×"
            let values = sizes |> List.fold (fun total size -> total * bigint size) 1I

            let most =
                if isGzip then
                    bigint file.Length * bigint mostInflation
                else
                    bigint file.Length - bigint headerBytes

            if values > bigint Array.MaxLength || values > most then
                let got =
                    if isGzip then
                        $"more than its {file.Length} bytes of gzip can hold"
                    else
                        $"got {file.Length}"

                return! Error(Data $"{path}: expected {values + bigint headerBytes} bytes for {shape}, {got}")

            let bytes = Array.zeroCreate<byte>(int values)

            let bytesRead =
                content.ReadAtLeast(bytes.AsSpan(), bytes.Length, throwOnEndOfStream = false)

            let more = if bytesRead = bytes.Length then content.ReadByte() else -1

            if bytesRead < bytes.Length || more >= 0 then
                let total =
                    if more >= 0 then
                        "more"
                    else
                        string (bytesRead + headerBytes)

                return! Error(Data $"{path}: expected {values + bigint headerBytes} bytes for {shape}, got {total}")

            return sizes, bytes
        })

/// The split's images and labels, its image shape, and its files; None if there is no image file.
let private split folder (part: string) =
    result {
        match find folder $"{part}-images" "idx3" with
        | None -> return None
        | Some imagePath ->
            let! sizes, bytes = read imagePath imageMagic 3
            let count, height, width = sizes[0], sizes[1], sizes[2]

            let! labelPath, labels =
                match find folder $"{part}-labels" "idx1" with
                | None -> Ok(None, None)
                | Some path ->
                    result {
                        let! sizes, labels = read path labelMagic 1

                        if sizes[0] <> count then
                            return! Error(Data $"{path}: expected {count} labels, as many as images, got {sizes[0]}")

                        return Some path, Some(Array.map int labels)
                    }

            let split = {
                Count = count
                Labels = labels
                Name = fun index -> $"{Path.GetFileName imagePath}[{index}]"
                Read =
                    fun index -> PixelImage(Array.sub bytes (index * height * width) (height * width), 1, height, width)
            }

            return Some(split, (1, height, width), imagePath :: Option.toList labelPath)
    }

/// Opens a folder with `train-images-idx3-ubyte` and, if they exist, its labels and the `t10k` files.
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
                LeftOut = []
                OtherFiles = 0
                Notes = []
                Generator = None
                Close = ignore
            }
        })
