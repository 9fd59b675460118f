namespace DQ.Pipeline.Storage

open System
open System.IO
open System.Text
open System.Text.Json
open System.Text.Json.Serialization
open DQ.Core
open DQ.Core.Artifacts
open DQ.Pipeline

/// A file of JSON lines that only grows. Its length is recorded with every checkpoint, and what was written after the
/// checkpoint a run goes on from is cut off: no line is lost, doubled or torn.
type AppendLog(path: string, length: int64) =
    static let json =
        JsonSerializerOptions(
            ArtifactJson.Options,
            WriteIndented = false,
            DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull
        )

    let file =
        // no buffer: a line is one write, and one that failed is not tried again on closing
        let file =
            new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite, 0)

        if file.Length < length then
            let bytes = file.Length
            file.Dispose()

            raise (
                ArtifactException $"{path}: expected at least {length} bytes, as the checkpoint recorded, found {bytes}"
            )

        file.SetLength length
        file.Seek(0L, SeekOrigin.End) |> ignore
        file

    /// Bytes in whole lines.
    member _.Length = file.Position

    /// Adds one line in one write, visible to readers at once.
    member _.Append(record: obj) =
        let line = JsonSerializer.Serialize(record, record.GetType(), json) + "\n"

        let bytes = Encoding.UTF8.GetBytes line
        AtomicFile.Limited(path, fun () -> file.Write bytes)

    /// Waits until the lines are on the disk.
    member _.Persist() = file.Flush(flushToDisk = true)

    /// Cuts off everything after the first `length` bytes.
    member _.Truncate(length: int64) =
        file.SetLength length
        file.Seek(length, SeekOrigin.Begin) |> ignore

    interface IDisposable with
        member _.Dispose() = file.Dispose()
