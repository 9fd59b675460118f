namespace DQ.Pipeline.Sweeps

open System
open System.Diagnostics
open System.Globalization
open System.IO
open System.Text.Json
open System.Threading
open DQ.Core.Artifacts

/// The right to work on a cell of a sweep, held until disposed; a timer writes its heartbeat. Claims are numbered
/// files, each created once and never removed. A process takes a cell over by creating the file with the next number,
/// and the file system lets only one process do this. So two processes that find the same dead claim can't both take
/// it, whatever their timing.
type Claim private (folder: string, number: int, record: ClaimRecord) =
    static let fileOf folder (number: int) =
        Path.Combine(folder, $"claim-{number:D4}.json")

    let path = fileOf folder number
    let lost = new CancellationTokenSource()

    let beat _ =
        if File.Exists(fileOf folder (number + 1)) then
            // this process was suspended so long that another took the cell over
            lost.Cancel()
        else
            try
                ArtifactJson.Write(path, record.At DateTime.UtcNow)
            with
            | :? IOException
            | :? UnauthorizedAccessException -> ()

    let timer = new Timer(beat, null, LockRecord.Interval, LockRecord.Interval)

    /// Numbers of the existing claims, the latest first.
    static let numbers folder =
        if Directory.Exists folder then
            [
                for file in Directory.GetFiles(folder, "claim-*.json") do
                    let name = nonNull (Path.GetFileNameWithoutExtension file)

                    match Int32.TryParse(name["claim-".Length ..], NumberStyles.None, CultureInfo.InvariantCulture) with
                    | true, number -> number
                    | _ -> ()
            ]
            |> List.sortDescending
        else
            []

    /// A claim that can't be read: its process has created the file and not filled it yet, or died in between.
    static let young (path: string) =
        DateTime.UtcNow - File.GetLastWriteTimeUtc path < LockRecord.StaleAfter

    static let read path =
        try
            Some(ArtifactJson.Read<ClaimRecord> path)
        with :? ArtifactException ->
            None

    /// Cancelled if another process took the cell over.
    member _.Lost = lost.Token

    /// The valid claim, if there is one that can be read.
    static member Latest(folder: string) : ClaimRecord option =
        numbers folder |> List.tryHead |> Option.bind (fileOf folder >> read)

    /// Claims a cell by its folder; None if another process holds it, or was faster.
    static member TryTake(folder: string) : Claim option =
        Directory.CreateDirectory folder |> ignore

        let held, last =
            match numbers folder with
            | [] -> false, 0
            | last :: _ ->
                let path = fileOf folder last

                match read path with
                | Some record -> record.IsHeld DateTime.UtcNow, last
                | None -> young path, last

        if held then
            None
        else
            use self = Process.GetCurrentProcess()
            let now = DateTime.UtcNow

            let owner =
                LockRecord(
                    LockRecord.CurrentSchema,
                    self.Id,
                    self.StartTime.ToUniversalTime(),
                    Environment.MachineName,
                    now
                )

            let record = ClaimRecord(ClaimRecord.CurrentSchema, owner, now, Nullable())
            let path = fileOf folder (last + 1)

            try
                // shared: a reader that comes between making and locking the file must not make this fail
                use file =
                    new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite)

                JsonSerializer.Serialize(file, record, ArtifactJson.Options)
                file.Flush(flushToDisk = true)
                Some(new Claim(folder, last + 1, record))
            with :? IOException when File.Exists path ->
                None

    interface IDisposable with
        member _.Dispose() =
            use finished = new ManualResetEvent(false)

            if timer.Dispose finished then
                finished.WaitOne() |> ignore // a running heartbeat would restore the claim

            try
                ArtifactJson.Write(path, record.Released DateTime.UtcNow)
            with
            | :? IOException
            | :? UnauthorizedAccessException ->
                // it ends with the process
                ()

            lost.Dispose()
