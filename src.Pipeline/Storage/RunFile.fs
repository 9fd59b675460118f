namespace DQ.Pipeline.Storage

open System
open System.IO
open DQ.Core.Artifacts
open DQ.Pipeline

/// A run's folder while its owner works in it: everything is written under the lock, and run.json is kept true. Without a
/// lock it is that of a process that computes along and writes nothing.
type RunFile(folder: string, held: RunLock option, begun: RunRecord) =
    let mutable record = begun

    member _.Folder = folder

    /// The path of one of its files.
    member _.Path(file: string) = Path.Combine(folder, file)

    /// run.json as it was saved last.
    member _.Record = record

    /// Does what writes in the folder, while nobody can take the lock; nothing where another process writes.
    member _.Guarded(write: unit -> unit) =
        held |> Option.iter (fun held -> held.Guarded write)

    member _.Save(change: RunRecord -> RunRecord) =
        record <- change record

        held
        |> Option.iter (fun held -> held.Guarded(fun () -> Store.save folder record))

    /// Says why work ended. On a full disk, or where the run is another's, the error that led here is the one to report.
    member this.TryEnd(status: string, reason: string) =
        try
            this.Save(_.Ended(status, reason, DateTime.UtcNow))
        with
        | :? IOException
        | :? UnauthorizedAccessException
        | :? LockLostException -> ()

    /// The same of an error: what a later command can go on from was interrupted, the rest failed.
    member this.TryEnd(error: StageError) =
        let status =
            match error with
            | Interrupted _
            | Abandoned _
            | TimeUp _
            | Storage _ -> RunStatus.Interrupted
            | _ -> RunStatus.Failed

        this.TryEnd(status, StageError.lines error |> String.concat "; ")
