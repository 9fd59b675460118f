/// Packs a source of images as a data set.
module DQ.Pipeline.Data.Ingest

open System
open System.IO
open System.Threading
open System.Threading.Tasks
open FsToolkit.ErrorHandling
open DQ.Core
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage

/// Raised whenever the same source and settings give other packed bytes than before. It is 2 for image files, since PNG
/// files are rotated by their Exif data, every real file is read once, and names in zips are decoded by their flags.
let private version (source: SourceKind) =
    if SourceKind.hasImageFiles source then 2 else 1

/// The fingerprint of sources up to this many bytes uses their content; that of larger ones names, lengths and times.
let private hashedBytes = 1L <<< 30

let rec private openSource (config: DataConfig) =
    let path =
        match config.Path with
        | null -> ""
        | path -> path

    match config.Source with
    | SourceKind.DeadLeaves -> Ok(Leaves.source config.Seed config.Count config.ImageSize)
    | SourceKind.Cifar10 -> Cifar.open' Cifar.cifar10 path
    | SourceKind.Cifar100 -> Cifar.open' Cifar.cifar100 path
    | SourceKind.Cifar100Coarse -> Cifar.open' Cifar.cifar100Coarse path
    | SourceKind.Svhn -> Svhn.open' path
    | SourceKind.Idx -> Idx.open' path
    | SourceKind.Folder -> ImageFolder.open' path config.MaxPixels
    | SourceKind.TinyImageNet -> TinyImageNet.open' path config.MaxPixels
    | SourceKind.ImageNetDownsampled -> DownsampledImageNet.open' path config.ImageSize
    | SourceKind.Numpy -> Numpy.open' path
    | SourceKind.Parquet -> ParquetImages.open' path config.MaxPixels
    | SourceKind.Mix ->
        path
        |> Mix.open' (fun part ->
            openSource {
                config with
                    Source = part.Source
                    Path = part.Path
                    Count = part.Count
            })

let private withSource config (work: ImageSource -> Result<'value, StageError>) =
    openSource config
    |> Result.bind (fun source ->
        try
            work source
        finally
            source.Close())

/// The part of each file in the fingerprint: its content, or a mark that it can't be read, which packing reports.
let private contentHashes (hashes: FileHashes) (files: SourceFile[]) =
    files
    |> Array.Parallel.map (fun file ->
        match file.Problem with
        | Some problem -> $"unreadable: {problem}"
        | None ->
            ImageSource.attempt (fun () -> hashes.Sha256 file.Path)
            |> Result.defaultValue "unreadable")

let private fingerprintOf hashes (config: DataConfig) (source: ImageSource) =
    let files = Array.ofList source.Files
    let isSmall = files |> Array.sumBy _.Bytes <= hashedBytes

    let contents =
        if isSmall then
            contentHashes hashes files
        else
            [| for file in files -> $"{file.Bytes} {file.ModifiedUtc.Ticks}" |]

    let orOwn (value: int option) =
        value |> Option.map string |> Option.defaultValue "own"

    let lines = [
        $"ingest {version config.Source}"
        $"{config.Source.Name} {Option.toObj source.Generator}"
        $"side {orOwn config.ImageSize} channels {orOwn config.ImageChannels}"
        $"validation {config.Validation:R} test {config.Test:R} limit {config.Limit} seed {config.Seed} corrupt {config.MaxCorrupt:R}"
        if SourceKind.hasImageFiles config.Source then
            $"pixels {config.MaxPixels}"
        if config.Source = SourceKind.DeadLeaves then
            $"count {config.Count}"
        for file, content in Seq.zip files contents do
            $"{content} {file.Name}"
    ]

    DQ.Core.Sha256.OfText(String.concat "\n" lines)

let private shapeOf (config: DataConfig) (source: ImageSource) : Packing.Shape =
    let channels, height, width = defaultArg source.Shape (3, 0, 0) // a folder's images are resized to image_size

    {
        Channels = config.ImageChannels |> Option.defaultValue channels
        Height = config.ImageSize |> Option.defaultValue height
        Width = config.ImageSize |> Option.defaultValue width
    }

/// Each split's name, its split in the source, and the indices of its images, before the limit; and the rule in words.
let private plan (config: DataConfig) (source: ImageSource) =
    result {
        let count = source.Train.Count

        let cutFor own value =
            if Option.isSome own then 0 else Splits.amount value count

        let validation = cutFor source.Validation config.Validation
        let test = cutFor source.Test config.Test

        let! cut =
            Splits.cut config.Seed count validation test
            |> Result.mapError (fun problem -> Data $"data.validation: {problem}")

        let part (own: SourceSplit option) indices =
            match own with
            | Some split -> split, [| 0 .. split.Count - 1 |]
            | None -> source.Train, indices

        let words name own size =
            match own with
            | Some _ -> $"{name}: the source's own"
            | None ->
                $"{name}: {size} of the source's {count} training images, by a permutation drawn from the seed with SplitMix64"

        let limit =
            if config.Limit = 0 then
                ""
            else
                $"; of each split the first {config.Limit} in the source's order"

        return
            [
                "train", (source.Train, cut.Train)
                "validation", part source.Validation cut.Validation
                "test", part source.Test cut.Test
            ]
            |> List.map (fun (name, (split, indices)) ->
                name,
                split,
                (if config.Limit = 0 then
                     indices
                 else
                     Array.truncate config.Limit indices)),
            $"""{words "validation" source.Validation validation}; {words "test" source.Test test}; train: the rest{limit}"""
    }

/// The known properties of a data set before it is packed.
type Foreseen = {
    Fingerprint: string
    /// Without those that will be found unreadable.
    Counts: Checks.SplitCounts
}

/// Inspects the source without packing it. The fingerprint depends on everything that determines the packed bytes: the
/// settings (flip and shift are applied later, in training) and the source's content. Files of up to 1 GiB in all are
/// read and hashed, so that a copy of the source is recognized. For a larger source the fingerprint uses the files'
/// names, lengths and times of change. A changed file has another time, but a copy may have another time too, and is
/// then packed again. The source's own path is not part of it.
let foresee (hashes: FileHashes) (config: DataConfig) : Result<Foreseen, StageError> =
    withSource config (fun source ->
        ImageSource.guard (string config.Path) (fun () ->
            result {
                let! splits, _ = plan config source

                let count name =
                    splits
                    |> List.sumBy (fun (split, _, indices: int[]) -> if split = name then indices.Length else 0)

                return {
                    Fingerprint = fingerprintOf hashes config source
                    Counts = {
                        Train = count "train"
                        Validation = count "validation"
                        Test = count "test"
                    }
                }
            }))

let private checkCorrupt (config: DataConfig) attempted (corrupt: CorruptImage list) =
    let share = float corrupt.Length / float (max 1 attempted)

    match corrupt with
    | first :: _ when share > config.MaxCorrupt ->
        Error(
            Data
                $"{config.Path}: expected at most {config.MaxCorrupt:P1} of unreadable images (data.max_corrupt), got {corrupt.Length} of {attempted}; the first: {first.Name}: {first.Problem}"
        )
    | _ -> Ok()

/// Classes that occur only in validation or test: they keep their labels, but a model can't learn them.
let private untrained (classNames: string list) (train: Packing.Packed) (others: Packing.Packed list) = [
    match train.Labels with
    | None -> ()
    | Some labels ->
        let trained = Set.ofArray labels

        let unseen =
            others
            |> List.collect (fun part -> part.Labels |> Option.map List.ofArray |> Option.defaultValue [])
            |> List.distinct
            |> List.filter (fun label -> not (trained.Contains label))
            |> List.sort

        if not unseen.IsEmpty then
            let names =
                unseen
                |> List.truncate 5
                |> List.map (fun label -> $"'{classNames[label]}'")
                |> String.concat ", "

            let more = if unseen.Length > 5 then ", …" else ""
            $"{unseen.Length} classes have images in validation or test and none in train: {names}{more}"
]

let private pack hashes (config: DataConfig) name folder (source: ImageSource) progress cancellation =
    result {
        let shape = shapeOf config source
        let! splits, rule = plan config source
        let total = splits |> List.sumBy (fun (_, _, indices) -> indices.Length)
        let finished = ref 0

        let step count =
            finished.Value <- finished.Value + count
            progress finished.Value total

        let packed = [
            for part, split, indices in splits -> Packing.write folder part shape split indices step cancellation
        ]

        let train, validation, test = packed[0], packed[1], packed[2]
        let corrupt = source.LeftOut @ (packed |> List.collect _.Corrupt)
        do! checkCorrupt config (total + source.LeftOut.Length) corrupt

        if train.Split.Count = 0 then
            return! Error(Data $"{config.Path}: expected training images, got none that can be read")

        let means, deviations = Packing.meanAndStd train.Histogram

        let record =
            DatasetRecord(
                Name = name,
                Source = config.Source.Name,
                SourcePath =
                    (match config.Path with
                     | null -> null
                     | path -> Path.GetFullPath path),
                Fingerprint = fingerprintOf hashes config source,
                Generator = Option.toObj source.Generator,
                Channels = shape.Channels,
                Height = shape.Height,
                Width = shape.Width,
                ClassNames = source.ClassNames,
                Train = train.Split,
                Validation = validation.Split,
                Test = test.Split,
                TrainMean = means,
                TrainStd = deviations,
                SplitRule = rule,
                SplitSeed = config.Seed,
                CorruptImages = corrupt,
                ResizedImages = (packed |> List.sumBy _.Resized),
                GrayImages = (packed |> List.sumBy _.Gray),
                OtherFiles = source.OtherFiles,
                Notes = source.Notes @ untrained source.ClassNames train [ validation; test ]
            )

        ArtifactJson.Write(Path.Combine(folder, DatasetRecord.FileName), record)
        return record
    }

/// Held while a data set is written, because a second process would write the same files. It ends with its process.
let private lockOn folder =
    let path = folder + ".lock"
    let existed = File.Exists path

    try
        Ok(
            new FileStream(
                path,
                FileMode.OpenOrCreate,
                FileAccess.ReadWrite,
                FileShare.None,
                1,
                FileOptions.DeleteOnClose
            )
        )
    // or made by another process since then
    with :? IOException when existed || File.Exists path ->
        Error(Busy $"{folder}: another process is packing this data set")

let private replace (finished: string) (folder: string) =
    let old = folder + ".old"

    if Directory.Exists folder then
        Directory.Move(folder, old)

    Directory.Move(finished, folder)

    if Directory.Exists old then
        Directory.Delete(old, true)

/// Packs the configured images in `folder`: `train.u8`, `validation.u8`, `test.u8`, labels if there are classes, and
/// `dataset.json` last. The files are written in a sibling folder, which is renamed at the end. So `folder` is complete
/// if it exists; an existing one is replaced. `progress` receives the number of finished images and of all images.
/// Cancelling throws `OperationCanceledException` and leaves no files.
let run
    (hashes: FileHashes)
    (config: DataConfig)
    (name: string)
    (folder: string)
    (progress: int -> int -> unit)
    (cancellation: CancellationToken)
    : Result<DatasetRecord, StageError> =
    let folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath folder)
    let partial = folder + ".partial"

    let work source =
        result {
            Directory.CreateDirectory(Path.GetDirectoryName folder |> string) |> ignore
            use! _lock = lockOn folder

            for leftover in [ partial; folder + ".old" ] do
                if Directory.Exists leftover then
                    Directory.Delete(leftover, true) // left by a process that was killed

            Directory.CreateDirectory partial |> ignore

            try
                let! record = pack hashes config name partial source progress cancellation
                replace partial folder
                return record
            finally
                if Directory.Exists partial then
                    Directory.Delete(partial, true)
        }

    withSource config (fun source ->
        try
            work source
        with
        | :? IOException
        | :? UnauthorizedAccessException as problem ->
            Error(Storage $"{folder}: the data set could not be written: {problem.Message}"))
