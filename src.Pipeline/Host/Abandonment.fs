/// The end of a command that was told to stop and keeps nothing of what it did so far: it need not see the signal itself.
module DQ.Pipeline.Host.Abandonment

open System
open System.Runtime.InteropServices
open System.Threading
open System.Threading.Tasks
open DQ.Core
open DQ.Pipeline

[<DllImport("libc", EntryPoint = "_exit")>]
extern void private exitAtOnce(int code)

/// For what sees the signal, to end by itself.
let private patience = TimeSpan.FromSeconds 2.0

/// The work's outcome; after a signal, whatever the work does, what it leaves. The process has to end then (`leave`).
let race (interruption: Interruption) (left: string) (work: Task<Result<unit, StageError>>) =
    let abandoned reason =
        match reason with
        | Interrupted signal -> Error(Abandoned(signal, left))
        | other -> Error other

    task {
        let signalled = TaskCompletionSource()

        use _ = interruption.Token.Register(fun () -> signalled.TrySetResult() |> ignore)

        let! _ = Task.WhenAny(work, signalled.Task)

        if signalled.Task.IsCompleted then
            let! _ = Task.WhenAny(work, Task.Delay patience)
            ()

        if work.IsCompleted then
            match! work with
            | Error reason -> return abandoned reason
            | Ok() -> return Ok()
        else
            AtomicFile.Abandon()
            return abandoned interruption.Reason
    }

/// Ends the process without waiting for anything: libtorch's threads may still be at work, and would meet what was taken down.
let leave (code: int) : unit =
    Console.Out.Flush()
    Console.Error.Flush()

    if OperatingSystem.IsWindows() then
        Environment.Exit code
    else
        exitAtOnce code
