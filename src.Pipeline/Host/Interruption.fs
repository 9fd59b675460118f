namespace DQ.Pipeline.Host

open System
open System.Runtime.InteropServices
open System.Threading
open DQ.Core
open DQ.Pipeline

/// Turns Ctrl-C, SIGTERM and `--max-minutes` into a cancellation with a reason; stages save and stop when they see it.
/// A second signal ends the process at once; files that were being written then never appear.
type Interruption(maxMinutes: float option) =
    /// SIGXFSZ has this number on Linux and macOS alike, and no name here.
    static let sigxfsz = enum<PosixSignal> 25

    let source = new CancellationTokenSource()
    let mutable reason: StageError option = None

    let stop why =
        Interlocked.CompareExchange(&reason, Some why, None) |> ignore
        source.Cancel()

    let signal number (context: PosixSignalContext) =
        if not source.IsCancellationRequested then
            context.Cancel <- true
            stop (Interrupted number)
        else
            AtomicFile.Abandon()

    let registrations: IDisposable list = [
        PosixSignalRegistration.Create(PosixSignal.SIGINT, signal 2)
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal 15)
        // a write beyond a file size limit then fails like one on a full disk, instead of ending the process
        if not (OperatingSystem.IsWindows()) then
            PosixSignalRegistration.Create(sigxfsz, fun context -> context.Cancel <- true)
    ]

    let timer =
        match maxMinutes with
        | None -> None
        | Some minutes ->
            let due = TimeSpan.FromMinutes minutes
            Some(new Timer((fun _ -> stop (TimeUp minutes)), null, due, Timeout.InfiniteTimeSpan))

    member _.Token = source.Token

    /// Cancels for another reason; the first reason counts.
    member _.Stop(why: StageError) = stop why

    /// Why the token was cancelled.
    member _.Reason = reason |> Option.defaultValue (Interrupted 15)

    interface IDisposable with
        member _.Dispose() =
            timer |> Option.iter _.Dispose()

            for registration in registrations do
                registration.Dispose()

            source.Dispose()
