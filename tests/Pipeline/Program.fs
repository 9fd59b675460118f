/// The program as a process, and the source tree.
module DQ.Tests.Pipeline.Program

open System
open System.Diagnostics
open System.IO
open System.Threading

/// The root of the source tree, where configs/ lies.
let repository =
    let rec up (folder: DirectoryInfo) =
        if File.Exists(Path.Combine(folder.FullName, "DQ.sln")) then
            folder.FullName
        else
            match folder.Parent with
            | null -> failwith "the tests run outside of the source tree"
            | parent -> up parent

    up (DirectoryInfo AppContext.BaseDirectory)

/// A program of the solution, from its own folder, in the configuration the tests were built in.
let built (project: string) (file: string) =
    let configuration =
        (nonNull (DirectoryInfo(AppContext.BaseDirectory.TrimEnd '/').Parent)).Name

    Path.Combine(repository, project, "bin", configuration, "net10.0", file)

let program = built "src.Pipeline" "dq.dll"

/// What a `dq` process gave.
type Finished = {
    ExitCode: int
    Output: string
    Errors: string
}

/// Starts `dq` with these arguments; `shell` is run before it in the same process, such as `ulimit -f 100`.
let startAfter (shell: string) (arguments: string list) : Process =
    let quoted =
        arguments
        |> List.map (fun argument -> "'" + argument.Replace("'", "'\\''") + "'")
        |> String.concat " "

    // the runtime's own maps count as files otherwise, and small models are fastest on one thread
    let start =
        ProcessStartInfo("/bin/sh", [ "-c"; $"{shell}exec dotnet '{program}' {quoted}" ])

    start.Environment["DOTNET_EnableWriteXorExecute"] <- "0"
    start.Environment["OMP_NUM_THREADS"] <- "1"
    start.RedirectStandardOutput <- true
    start.RedirectStandardError <- true
    nonNull (Process.Start start)

let start arguments = startAfter "" arguments

/// For what is certain to come: machines are busy, and only a test that fails waits for the end of it.
let patience = TimeSpan.FromMinutes 5.0

/// Waits for its end. Processes that wait for each other for ever are a failure, not a suite that hangs.
let finish (started: Process) =
    use started = started
    let errors = started.StandardError.ReadToEndAsync()
    let output = started.StandardOutput.ReadToEndAsync()

    if not (started.WaitForExit(4.0 * patience)) then
        started.Kill true
        failwith $"a process did not end in {4.0 * patience.TotalMinutes} minutes"

    {
        ExitCode = started.ExitCode
        Output = output.Result
        Errors = errors.Result
    }

let run arguments = finish (start arguments)

/// Waits for something a process does; false where it ended without.
let waitFor (started: Process) (reached: unit -> bool) =
    let watch = Stopwatch.StartNew()
    let mutable seen = reached ()

    while not seen && not started.HasExited do
        if watch.Elapsed > patience then
            failwith $"waited for {patience.TotalMinutes} minutes"

        Thread.Sleep 1
        seen <- reached ()

    seen || reached ()

/// Sends a signal such as `-TERM`.
let kill (signal: string) (started: Process) =
    use sent = Process.Start("/bin/kill", [ signal; string started.Id ])
    sent.WaitForExit()
