namespace DQ.Pipeline

open System
open System.IO
open DQ.Core.Artifacts

/// run.json of a run under work.
type RunFile(folder: string, held: RunLock, begun: RunRecord) =
    let mutable record = begun

    member _.Save(change: RunRecord -> RunRecord) =
        record <- change record
        held.Guarded(fun () -> Store.save folder record)
        record

    /// Says why work ended. On a full disk, or where the run is another's, the error that led here is the one to report.
    member this.TryEnd(status: string, reason: string) =
        try
            this.Save(_.Ended(status, reason, DateTime.UtcNow)) |> ignore
        with
        | :? IOException
        | :? UnauthorizedAccessException
        | :? LockLostException -> ()

    /// The same of an error: what a later command can go on from was interrupted, the rest failed.
    member this.TryEnd(error: StageError) =
        let status =
            match error with
            | Interrupted _
            | TimeUp _
            | Storage _ -> RunStatus.Interrupted
            | _ -> RunStatus.Failed

        this.TryEnd(status, StageError.lines error |> String.concat "; ")
