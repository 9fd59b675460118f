namespace DQ.Pipeline

open System
open System.Diagnostics
open System.IO
open System.Threading
open DQ.Core.Artifacts

/// The right to work on a run, held until disposed; a timer says that its owner lives.
type RunLock private (path: string, record: LockRecord) =
    let beat _ =
        try
            ArtifactJson.Write(path, record.At DateTime.UtcNow)
        with
        | :? IOException
        | :? UnauthorizedAccessException ->
            // a full disk must not end a run between two checkpoints; on this host the process speaks for itself
            ()

    let timer = new Timer(beat, null, LockRecord.Interval, LockRecord.Interval)

    /// The owner of a run's folder, if it lives.
    static member LivingOwner(folder: string) : LockRecord option =
        let path = Path.Combine(folder, RunLayout.Lock)

        if not (File.Exists path) then
            None
        else
            try
                let record = ArtifactJson.Read<LockRecord> path

                if record.HasLivingOwner DateTime.UtcNow then
                    Some record
                else
                    None
            with :? ArtifactException ->
                // released between the two lines above, or written by a process that died doing so
                None

    /// Takes the lock of a run's folder, from an owner that is gone too. Call under the store's guard.
    static member Take(folder: string) : Result<RunLock, StageError> =
        match RunLock.LivingOwner folder with
        | Some owner ->
            Error(
                Busy
                    $"{folder}: process {owner.ProcessId} on {owner.Host} works on this run (since {owner.ProcessStartedUtc:u}); wait for it or stop it"
            )
        | None ->
            let path = Path.Combine(folder, RunLayout.Lock)
            use self = Process.GetCurrentProcess()
            let now = DateTime.UtcNow

            let record =
                LockRecord(
                    LockRecord.CurrentSchema,
                    self.Id,
                    self.StartTime.ToUniversalTime(),
                    Environment.MachineName,
                    now
                )

            ArtifactJson.Write(path, record)
            Ok(new RunLock(path, record))

    interface IDisposable with
        member _.Dispose() =
            use finished = new ManualResetEvent(false)

            if timer.Dispose finished then
                finished.WaitOne() |> ignore // a beat under way would bring the file back

            File.Delete path
