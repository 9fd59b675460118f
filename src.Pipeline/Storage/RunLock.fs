namespace DQ.Pipeline.Storage

open System
open System.Diagnostics
open System.IO
open System.Threading
open DQ.Core.Artifacts
open DQ.Pipeline

/// Another process took the run over from an owner that seemed to be gone: that owner must not write any more.
type LockLostException(message: string) =
    inherit Exception(message)

/// The right to write in a run's folder, held until disposed. A timer says that its owner lives. Taking the lock and
/// writing under it exclude one another by a guard that the operating system keeps, and each write first looks whether
/// the lock is still its owner's: of two owners, only the latest writes.
type RunLock private (folder: string, record: LockRecord) =
    static let pathIn (folder: string) = Path.Combine(folder, RunLayout.Lock)

    /// For as long as another process may take to write a checkpoint.
    static let patience = TimeSpan.FromSeconds 30.0

    static let guard (folder: string) patience =
        FileGuard.enter (Path.Combine(folder, RunLayout.LockGuard)) patience

    /// None where there is none, or one that can't be read.
    static let read (folder: string) : LockRecord option =
        try
            if File.Exists(pathIn folder) then
                Some(ArtifactJson.Read<LockRecord>(pathIn folder))
            else
                None
        with :? ArtifactException ->
            None

    static let livingOwner folder =
        read folder |> Option.filter _.HasLivingOwner(DateTime.UtcNow)

    /// What writes that were cut short left in a folder nobody writes in.
    static let tidy (folder: string) =
        for left in Directory.GetFiles(folder, "*.tmp", SearchOption.AllDirectories) do
            File.Delete left

    let gate = obj ()
    let mutable depth = 0
    let mutable released = false

    let isOurs () =
        match read folder with
        | Some current -> current.Token = record.Token
        | None -> false

    let beat () =
        ArtifactJson.Write(pathIn folder, record.At DateTime.UtcNow)

    let onTimer _ =
        // what is being written under the lock says itself, when it is done, that the owner lives
        if Monitor.TryEnter gate then
            try
                try
                    if not released then
                        use _ = guard folder TimeSpan.Zero

                        if isOurs () then
                            beat ()
                with
                | :? IOException
                | :? UnauthorizedAccessException ->
                    // a full disk must not end a run between two checkpoints; on this host the process speaks for itself
                    ()
            finally
                Monitor.Exit gate

    let timer = new Timer(onTimer, null, LockRecord.Interval, LockRecord.Interval)

    /// The owner of a run's folder, if it lives.
    static member LivingOwner(folder: string) : LockRecord option = livingOwner folder

    /// Takes the lock of a run's folder, from an owner that is gone too, and removes what that one left half-written.
    static member Take(folder: string) : Result<RunLock, StageError> =
        use _ = guard folder patience

        match livingOwner folder with
        | Some owner ->
            Error(
                Busy
                    $"{folder}: process {owner.ProcessId} on {owner.Host} works on this run (since {owner.ProcessStartedUtc:u}); wait for it or stop it"
            )
        | None ->
            use self = Process.GetCurrentProcess()

            let record =
                LockRecord(
                    LockRecord.CurrentSchema,
                    self.Id,
                    self.StartTime.ToUniversalTime(),
                    Environment.MachineName,
                    DateTime.UtcNow,
                    Guid.NewGuid().ToString "N"
                )

            ArtifactJson.Write(pathIn folder, record)
            tidy folder
            Ok(new RunLock(folder, record))

    /// Does what writes in the folder, while nobody can take the lock; a `LockLostException` where somebody did.
    member _.Guarded(write: unit -> 'a) : 'a =
        lock gate (fun () ->
            if depth > 0 then
                write ()
            else
                use _ = guard folder patience

                if not (isOurs ()) then
                    raise (
                        LockLostException
                            $"{pathIn folder}: expected the lock that this process took; another process works on the run, or the file was removed: stopped without writing more"
                    )

                let clock = Stopwatch.StartNew()
                depth <- depth + 1

                try
                    let result = write ()

                    if clock.Elapsed > LockRecord.Interval then
                        beat ()

                    result
                finally
                    depth <- depth - 1)

    interface IDisposable with
        member _.Dispose() =
            lock gate (fun () ->
                released <- true
                timer.Dispose()
                use _ = guard folder patience

                if isOurs () then
                    File.Delete(pathIn folder))
