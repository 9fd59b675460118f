/// Writes a split as raw bytes.
module DQ.Pipeline.Data.Packing

open System
open System.Buffers.Binary
open System.IO
open System.Security.Cryptography
open System.Threading
open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Pipeline.Configuration

type Shape = {
    Channels: int
    Height: int
    Width: int
}

/// Statistics of packing a split.
type Packed = {
    Split: DatasetSplit
    /// Labels of the packed images; None without classes.
    Labels: int[] option
    Corrupt: CorruptImage list
    Resized: int
    Gray: int
    /// Pixels per channel and value.
    Histogram: int64[][]
}

/// Number of bytes processed at a time: enough images for all processors, and little memory.
let private chunkBytes = 16 <<< 20

/// Resizes an image to the data set's shape: its middle square, averaged over areas.
let fit shape (image: PixelImage) =
    let sized =
        if (image.Height, image.Width) = (shape.Height, shape.Width) then
            image
        else
            AreaResize.Resize(AreaResize.CropToSquare image, shape.Height, shape.Width)

    sized.WithChannels shape.Channels

/// A new file, which is hashed during writing and flushed to the disk at the end.
type private HashedFile(folder: string, name: string) =
    let stream =
        new FileStream(Path.Combine(folder, name), FileMode.CreateNew, FileAccess.Write)

    let hash = IncrementalHash.CreateHash HashAlgorithmName.SHA256

    member _.Write(bytes: byte[], count: int) =
        stream.Write(bytes, 0, count)
        hash.AppendData(bytes, 0, count)

    member _.Finish() =
        stream.Flush(flushToDisk = true)
        PackedFile(name, stream.Length, Convert.ToHexStringLower(hash.GetHashAndReset()))

    interface IDisposable with
        member _.Dispose() =
            stream.Dispose()
            hash.Dispose()

let private writeLabels folder name (labels: int list) =
    use file = new HashedFile(folder, name)
    let bytes = Array.zeroCreate (4 * labels.Length)

    for place, label in List.indexed labels do
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4 * place), label)

    file.Write(bytes, bytes.Length)
    file.Finish()

/// Counts the values of one channel in `count` images of `plane` pixels per channel.
let private tally (histogram: int64[][]) (buffer: byte[]) count plane channel =
    let counts = histogram[channel]

    for image in 0 .. count - 1 do
        for value in ReadOnlySpan(buffer, (image * histogram.Length + channel) * plane, plane) do
            counts[int value] <- counts[int value] + 1L

/// Mean and standard deviation per channel, of pixel values in [0, 1].
let meanAndStd (histogram: int64[][]) =
    Array.unzip [|
        for counts in histogram ->
            let total = float (Array.sum counts)

            let mean =
                (counts
                 |> Seq.indexed
                 |> Seq.sumBy (fun (value, count) -> float value * float count))
                / total

            let square =
                (counts
                 |> Seq.indexed
                 |> Seq.sumBy (fun (value, count) -> (float value - mean) ** 2.0 * float count))
                / total

            mean / 255.0, sqrt square / 255.0
    |]

/// Packs the chosen images of a source's split as `<name>.u8` (N, C, H, W) and, with classes, `<name>.labels.i32`.
/// Images that can't be decoded are left out and named. `step` receives the number of images of each chunk of work.
let write
    folder
    name
    shape
    (source: SourceSplit)
    (indices: int[])
    (step: int -> unit)
    (cancellation: CancellationToken)
    =
    let size = shape.Channels * shape.Height * shape.Width
    let perChunk = max 1 (chunkBytes / size)
    let buffer = Array.zeroCreate (min perChunk indices.Length * size)
    let histogram = Array.init shape.Channels (fun _ -> Array.zeroCreate<int64> 256)
    let problems: string option[] = Array.create indices.Length None
    let counts = [| 0; 0 |] // resized, gray
    use file = new HashedFile(folder, $"{name}.u8")
    let options = ParallelOptions(CancellationToken = cancellation)

    for first in 0..perChunk .. indices.Length - 1 do
        let count = min perChunk (indices.Length - first)

        let pack place =
            match ImageSource.attempt (fun () -> source.Read indices[first + place]) with
            | Error problem -> problems[first + place] <- Some problem
            | Ok image ->
                if (image.Height, image.Width) <> (shape.Height, shape.Width) then
                    Interlocked.Increment(&counts[0]) |> ignore

                if image.Channels < shape.Channels then
                    Interlocked.Increment(&counts[1]) |> ignore

                Array.blit (fit shape image).Bytes 0 buffer (place * size) size

        Parallel.For(0, count, options, pack) |> ignore
        let mutable kept = 0

        for place in 0 .. count - 1 do
            if problems[first + place].IsNone then
                if kept < place then
                    Array.blit buffer (place * size) buffer (kept * size) size

                kept <- kept + 1

        file.Write(buffer, kept * size)

        Parallel.For(0, shape.Channels, options, tally histogram buffer kept (size / shape.Channels))
        |> ignore

        step count

    let kept = [
        for index, problem in Seq.zip indices problems do
            if problem.IsNone then
                index
    ]

    let labels =
        source.Labels
        |> Option.map (fun labels -> [| for index in kept -> labels[index] |])

    let labelsFile =
        labels
        |> Option.map (fun labels -> writeLabels folder $"{name}.labels.i32" (List.ofArray labels))

    {
        Split = DatasetSplit(kept.Length, file.Finish(), Option.toObj labelsFile)
        Labels = labels
        Corrupt = [
            for index, problem in Seq.zip indices problems do
                match problem with
                | Some problem -> CorruptImage(source.Name index, problem)
                | None -> ()
        ]
        Resized = counts[0]
        Gray = counts[1]
        Histogram = histogram
    }
