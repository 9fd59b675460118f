/// Processes of this program that share a sweep on this machine.
module DQ.Pipeline.Sweeps.Workers

open System
open System.Diagnostics
open System.IO
open System.Reflection
open System.Threading.Tasks
open DQ.Pipeline
open DQ.Pipeline.Host

/// The command that starts this program; the host of .NET programs also needs the assembly's name.
let private program () =
    let host = nonNull Environment.ProcessPath

    if Path.GetFileNameWithoutExtension host = "dotnet" then
        host, [ (nonNull (Assembly.GetEntryAssembly())).Location ]
    else
        host, []

/// A worker stops as on SIGTERM when its standard input ends, which happens when this process ends in any way.
let private start (arguments: string list) jobs =
    let host, assembly = program ()
    let start = ProcessStartInfo(host, assembly @ arguments)
    start.RedirectStandardInput <- true
    start.RedirectStandardError <- true

    if not (start.Environment.ContainsKey "OMP_NUM_THREADS") then
        start.Environment["OMP_NUM_THREADS"] <- string (max 1 (Environment.ProcessorCount / jobs))

    nonNull (Process.Start start)

let private relay (output: Output) (worker: Process) =
    task {
        let mutable reading = true

        while reading do
            match! worker.StandardError.ReadLineAsync() with
            | null -> reading <- false
            | line -> output.Note line
    }

/// Runs `dq` with these arguments in a number of processes, waits for all of them, and returns their exit codes.
let run (place: Workplace) (arguments: string list) (jobs: int) : Task<int list> =
    task {
        let workers = [ for _ in 1..jobs -> start arguments jobs ]

        use _ =
            place.Interruption.Token.Register(fun () ->
                for worker in workers do
                    worker.StandardInput.Close())

        let! _ = Task.WhenAll [ for worker in workers -> relay place.Output worker ]

        for worker in workers do
            do! worker.WaitForExitAsync()

        let codes = workers |> List.map _.ExitCode

        for worker in workers do
            worker.Dispose()

        return codes
    }
