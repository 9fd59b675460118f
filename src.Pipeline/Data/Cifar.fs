/// CIFAR-10 and CIFAR-100, binary versions: records of label bytes and 3 × 32 × 32 planar bytes.
module DQ.Pipeline.Data.Cifar

open System
open System.IO
open FsToolkit.ErrorHandling
open DQ.Core
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Configuration

let private size = 32
let private imageBytes = 3 * size * size

/// One of the two data sets, or one of CIFAR-100's two labellings.
type Layout = {
    Title: string
    TrainFiles: string list
    TestFile: string
    /// The folder to which its archive is unpacked.
    Folder: string
    /// Lines of class names.
    NamesFile: string
    /// Without that file.
    KnownClasses: string list
    /// Bytes before the pixels.
    LabelBytes: int
    /// The index of the label among these bytes.
    LabelPlace: int
}

/// Ten classes, in five training batches and a test batch.
let cifar10 = {
    Title = "CIFAR-10"
    TrainFiles = [ for batch in 1..5 -> $"data_batch_{batch}.bin" ]
    TestFile = "test_batch.bin"
    Folder = "cifar-10-batches-bin"
    NamesFile = "batches.meta.txt"
    KnownClasses = [
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
    LabelBytes = 1
    LabelPlace = 0
}

/// A hundred fine classes.
let cifar100 = {
    Title = "CIFAR-100"
    TrainFiles = [ "train.bin" ]
    TestFile = "test.bin"
    Folder = "cifar-100-binary"
    NamesFile = "fine_label_names.txt"
    KnownClasses = [ for label in 0..99 -> string label ]
    LabelBytes = 2
    LabelPlace = 1
}

/// Twenty coarse classes of the same images.
let cifar100Coarse = {
    cifar100 with
        NamesFile = "coarse_label_names.txt"
        KnownClasses = [ for label in 0..19 -> string label ]
        LabelPlace = 0
}

/// The folder with the batches: the given folder, or the folder of the unpacked archive inside it.
let private locate (layout: Layout) path =
    [ path; Path.Combine(path, layout.Folder) ]
    |> List.tryFind (fun folder -> File.Exists(Path.Combine(folder, layout.TrainFiles.Head)))
    |> Result.requireSome (
        Data $"{path}: expected the folder of {layout.Title}'s binary version, found no {layout.TrainFiles.Head} in it"
    )

let private classNames (layout: Layout) folder =
    let path = Path.Combine(folder, layout.NamesFile)

    if File.Exists path then
        use lines = new StreamReader(RegularFile.OpenRead path)

        lines.ReadToEnd().Split '\n'
        |> Array.map _.Trim()
        |> Array.filter ((<>) "")
        |> List.ofArray
    else
        layout.KnownClasses

/// The records of some files, one file after the other. Only the labels are kept in memory.
let private split (layout: Layout) classCount (paths: string list) =
    let recordBytes = layout.LabelBytes + imageBytes

    result {
        let counts = [
            for path in paths do
                if not (File.Exists path) then
                    Error(Data $"{path}: expected a batch file of {layout.Title}'s binary version, found nothing there")
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
        let handles = paths |> List.map RegularFile.OpenRead |> Array.ofList

        let places = [|
            for file, count in List.indexed counts do
                for record in 0 .. count - 1 -> file, record
        |]

        let read (buffer: byte[]) index skip =
            let file, record = places[index]

            RandomAccess.Read(handles[file].SafeFileHandle, buffer, int64 record * int64 recordBytes + skip) =
                buffer.Length

        let labels =
            let buffer = [| 0uy |]

            [|
                for index in 0 .. places.Length - 1 do
                    if read buffer index (int64 layout.LabelPlace) then
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
                    let image = PixelImage(3, size, size)

                    if not (read image.Bytes index (int64 layout.LabelBytes)) then
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
let open' (layout: Layout) (path: string) : Result<ImageSource, StageError> =
    ImageSource.guard path (fun () ->
        result {
            let! folder = locate layout path
            let full name = Path.Combine(folder, name)
            let classes = classNames layout folder

            let! train, closeTrain =
                split layout classes.Length (List.map full layout.TrainFiles)

            let! test, closeTest = split layout classes.Length [ full layout.TestFile ]

            return {
                ClassNames = classes
                Shape = Some(3, size, size)
                Train = train
                Validation = None
                Test = Some test
                Files = [
                    for name in layout.TrainFiles @ [ layout.TestFile ] -> ImageSource.file folder (full name)
                ]
                LeftOut = []
                OtherFiles = 0
                Notes = []
                Generator = None
                Close =
                    fun () ->
                        closeTrain ()
                        closeTest ()
            }
        })
