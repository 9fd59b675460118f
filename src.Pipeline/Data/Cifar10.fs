/// CIFAR-10, binary version: records of a label byte and 3 × 32 × 32 planar bytes, in five training batches and a test batch.
module DQ.Pipeline.Data.Cifar10

open System
open System.IO
open FsToolkit.ErrorHandling
open DQ.Core.Images
open DQ.Pipeline

let private side = 32
let private imageBytes = 3 * side * side
let private recordBytes = 1 + imageBytes
let private trainFiles = [ for batch in 1..5 -> $"data_batch_{batch}.bin" ]
let private testFile = "test_batch.bin"

let private knownClasses = [
    "airplane"
    "automobile"
    "bird"
    "cat"
    "deer"
    "dog"
    "frog"
    "horse"
    "ship"
    "truck"
]

/// The folder that has the batches: the one given, or the one the archive unpacks to inside it.
let private locate path =
    [ path; Path.Combine(path, "cifar-10-batches-bin") ]
    |> List.tryFind (fun folder -> File.Exists(Path.Combine(folder, trainFiles.Head)))
    |> Result.requireSome (
        Data $"{path}: expected the folder of CIFAR-10's binary version, found no {trainFiles.Head} in it"
    )

let private classNames folder =
    let path = Path.Combine(folder, "batches.meta.txt")

    if File.Exists path then
        File.ReadAllLines path
        |> Array.map _.Trim()
        |> Array.filter ((<>) "")
        |> List.ofArray
    else
        knownClasses

/// The records of some files, one file after the other. Nothing is kept in memory but the labels.
let private split classCount (paths: string list) =
    result {
        let counts = [
            for path in paths do
                if not (File.Exists path) then
                    Error(Data $"{path}: expected a batch file of CIFAR-10's binary version, found nothing there")
                else
                    match (FileInfo path).Length with
                    | bytes when bytes > 0L && bytes % int64 recordBytes = 0L -> Ok(int (bytes / int64 recordBytes))
                    | bytes ->
                        Error(
                            Data
                                $"{path}: expected a length that is a multiple of {recordBytes} bytes (one record), got {bytes}"
                        )
        ]

        let! counts = counts |> List.sequenceResultM
        let handles = paths |> List.map File.OpenHandle |> Array.ofList

        let places = [|
            for file, count in List.indexed counts do
                for record in 0 .. count - 1 -> file, record
        |]

        let read (buffer: byte[]) index skip =
            let file, record = places[index]
            RandomAccess.Read(handles[file], buffer, int64 record * int64 recordBytes + skip) = buffer.Length

        let labels =
            let buffer = [| 0uy |]

            [|
                for index in 0 .. places.Length - 1 do
                    if read buffer index 0L then
                        int buffer[0]
            |]

        let name index =
            let file, record = places[index]
            $"{Path.GetFileName paths[file]}[{record}]"

        do!
            match labels |> Array.tryFindIndex (fun label -> label >= classCount) with
            | None -> Ok()
            | Some index ->
                let file, record = places[index]
                Error(Data $"{paths[file]}: expected labels below {classCount}, got {labels[index]} in record {record}")

        let split = {
            Count = places.Length
            Labels = Some labels
            Name = name
            Read =
                fun index ->
                    let image = PixelImage(3, side, side)

                    if not (read image.Bytes index 1L) then
                        raise (InvalidDataException "the file ends inside this record")

                    image
        }

        return
            split,
            (fun () ->
                for handle in handles do
                    handle.Dispose())
    }

/// Opens the folder of the binary version, or the one that contains it.
let open' (path: string) : Result<ImageSource, StageError> =
    ImageSource.guard path (fun () ->
        result {
            let! folder = locate path
            let full name = Path.Combine(folder, name)
            let classes = classNames folder
            let! train, closeTrain = split classes.Length (List.map full trainFiles)
            let! test, closeTest = split classes.Length [ full testFile ]

            return {
                ClassNames = classes
                Shape = Some(3, side, side)
                Train = train
                Validation = None
                Test = Some test
                Files = [ for name in trainFiles @ [ testFile ] -> ImageSource.file folder (full name) ]
                OtherFiles = 0
                Generator = None
                Close =
                    fun () ->
                        closeTrain ()
                        closeTest ()
            }
        })
