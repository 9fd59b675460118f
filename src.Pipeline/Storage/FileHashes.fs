namespace DQ.Pipeline.Storage

open System
open System.Collections.Concurrent
open System.IO
open DQ.Pipeline

/// SHA-256 of files, each read once however many stages and variants ask. A file whose length or time of change differs
/// from last time is read again.
type FileHashes() =
    let known = ConcurrentDictionary<struct (string * int64 * DateTime), string>()

    /// 64 hexadecimal digits.
    member _.Sha256(path: string) : string =
        let file = FileInfo path

        known.GetOrAdd(
            struct (file.FullName, file.Length, file.LastWriteTimeUtc),
            (fun _ -> DQ.Core.Sha256.OfFile path)
        )
