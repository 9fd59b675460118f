/// Which frozen models `dq compress` and `dq decompress` use.
module DQ.Pipeline.Commands.LosslessModels

open System
open System.IO
open DQ.Core
open DQ.Core.Coding
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

/// Bytes a file of a frozen model may have.
let private largestModel = 64L <<< 20

let private read (file: string) : Result<FrozenContext, StageError> =
    try
        Ok(FrozenContextFile.Read(RegularFile.ReadAllBytes(file, largestModel)))
    with
    | :? InvalidDataException
    | :? IOException as problem -> Error(Data $"{file}: {problem.Message}")

/// The context head of a checkpoint, frozen.
let frozen (file: string) : Result<FrozenContext, StageError> =
    use checkpoint = ContextCheckpoint.Open file
    use head = checkpoint.Head()

    try
        Ok(ContextFreezer.Freeze(head.Weights()))
    with :? ArgumentException as problem ->
        Error(Data $"{file}: {problem.Message}")

/// The models of these files, as far as they go.
let ofFiles (files: string list) : Result<FrozenContext list, StageError> = files |> List.traverseResultM read

/// The last checkpoint's context head of a run that has nothing else, frozen.
let ofRun (place: Workplace) (run: string option) : Result<FrozenContext list, StageError> =
    match run with
    | None -> Ok []
    | Some id ->
        result {
            let! file, _ = Command.checkpoint place (Some id) None
            let! _ = Workplace.loadTorch place
            let! model = frozen file
            return [ model ]
        }

/// The built-in models.
let builtIn =
    [ BuiltInModels.All.Color; BuiltInModels.All.Gray ] |> List.choose Option.ofObj

/// Models by channels: of several for the same, the first.
let select (models: FrozenContext list) =
    (CodingModels.None, models)
    ||> List.fold (fun known model -> known.Or(CodingModels.Of model))

/// Threads that code: as many as compute elsewhere.
let threads (place: Workplace) : Result<int, StageError> =
    Threads.choose place.Settings.Threads |> Result.map _.Count

let progress (context: StageContext) title total completed =
    context.Progress {
        Title = title
        Done = int64 completed
        Total = int64 total
        Unit = "pictures"
        Loss = None
        ImagesPerSecond = None
    }

/// What a file holds; and how fast it was coded or decoded, where that was so.
let describe (file: string) (seconds: float option) (opened: LosslessFile) =
    let raw = opened.Entries |> Seq.sumBy _.RawBytes

    let bitsPerDim bytes =
        if raw = 0L then
            None
        else
            Some(8.0 * float bytes / float raw)

    let coded = bitsPerDim (opened.Bytes - opened.ModelBytes)
    let withModel = bitsPerDim opened.Bytes
    let struct (rawChunks, contextChunks, flatChunks) = opened.ChunkModes

    let speed =
        seconds |> Option.map (fun seconds -> float raw / 1e6 / max seconds 1e-6)

    let text =
        Table.render Table.Left [
            [ "file"; file ]
            [ "pictures"; string opened.Entries.Count ]
            [ "raw, bytes"; string raw ]
            [ "file, bytes"; string opened.Bytes ]
            if opened.ModelBytes > 0L then
                [ "  of which models"; string opened.ModelBytes ]
            [ "coded, bits/dim"; Numbers.optional "F4" (Option.toNullable coded) ]
            if opened.ModelBytes > 0L then
                [ "  with models"; Numbers.optional "F4" (Option.toNullable withModel) ]
            [ "chunks"; $"{contextChunks} by context, {flatChunks} flat, {rawChunks} raw" ]
            match speed with
            | Some speed -> [ "raw, MB/s"; Numbers.number "F2" speed ]
            | None -> ()
            for struct (channels, hash, isInFile) in opened.Models do
                [
                    (if channels = 3 then "model, color" else "model, gray")
                    (if isInFile then
                         $"{hash[..11]} (in the file)"
                     else
                         hash[..11])
                ]
        ]

    text,
    {|
        File = file
        Pictures = opened.Entries.Count
        RawBytes = raw
        FileBytes = opened.Bytes
        ModelBytes = opened.ModelBytes
        CodedBitsPerDim = Option.toNullable coded
        CodedBitsPerDimWithModel = Option.toNullable withModel
        ContextChunks = contextChunks
        FlatChunks = flatChunks
        RawChunks = rawChunks
        Seconds = Option.toNullable seconds
        RawMegabytesPerSecond = Option.toNullable speed
        Models = [
            for struct (channels, hash, isInFile) in opened.Models do
                {|
                    Channels = channels
                    Hash = hash
                    IsInFile = isInFile
                |}
        ]
    |}
