/// The report site's own program: where it is, and how it is run. It knows neither this program nor libtorch.
module DQ.Pipeline.SiteProgram

open System
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open System.Threading.Tasks

[<DllImport("libc", EntryPoint = "kill", SetLastError = true)>]
extern int private signal(int processId, int number)

[<Literal>]
let private terminate = 15

let private library = "dq-reports.dll"

let private isThere folder =
    File.Exists(Path.Combine(folder, library))

/// The root of the source tree this program was built in.
let private sourceTree =
    let rec up (folder: DirectoryInfo) =
        if File.Exists(Path.Combine(folder.FullName, "DQ.sln")) then
            Some folder.FullName
        else
            match folder.Parent with
            | null -> None
            | parent -> up parent

    up (DirectoryInfo AppContext.BaseDirectory)

/// Keeps errors of ours, passes the rest on.
let rec private listen (errors: StreamReader) (said: ResizeArray<string>) : Task<unit> =
    task {
        match! errors.ReadLineAsync() with
        | null -> return ()
        | line ->
            if line.StartsWith("dq: ", StringComparison.Ordinal) then
                said.Add line[4..]
            else
                eprintfn $"{line}"

            return! listen errors said
    }

/// Runs a process to its end; its errors are ours.
let private run (start: ProcessStartInfo) (place: Workplace) : Task<Result<unit, StageError>> =
    task {
        use child = nonNull (Process.Start start)
        let said = ResizeArray<string>()

        let listened = listen child.StandardError said

        use _ =
            place.Interruption.Token.Register(fun () ->
                if not child.HasExited && not (OperatingSystem.IsWindows()) then
                    signal (child.Id, terminate) |> ignore)

        do! child.WaitForExitAsync()
        do! listened

        match child.ExitCode with
        | 0 -> return Ok()
        | _ when place.Interruption.Token.IsCancellationRequested -> return Ok()
        | _ when said.Count > 0 -> return Error(Data(String.concat "; " said))
        | code -> return Error(CheckFailed $"{start.FileName}: ended with code {code}")
    }

let private started (file: string) (arguments: string list) =
    ProcessStartInfo(file, arguments, RedirectStandardError = true, UseShellExecute = false)

let private build root place =
    let project = Path.Combine(root, "src.Reports")

    started "dotnet" [ "build"; "-c"; "Release"; "-v"; "quiet"; "--nologo"; project ]
    |> fun start ->
        // what it builds is no result of this command
        start.RedirectStandardOutput <- true
        run start place

/// The folder of the site's program: beside this one when published, built from the source tree otherwise.
let private folder (place: Workplace) : Task<Result<string, StageError>> =
    task {
        let published = Path.Combine(AppContext.BaseDirectory, "site")

        match sourceTree with
        | _ when isThere published -> return Ok published
        | None ->
            return
                Error(
                    CheckFailed
                        $"the site's program is not in {published}; publish dq as the README says, or run it from the source tree"
                )
        | Some root ->
            let built = Path.Combine(root, "src.Reports", "bin", "Release", "net10.0")

            if isThere built then
                return Ok built
            else
                place.Output.Note "building the site; the first time takes a minute"
                let! result = build root place
                return result |> Result.map (fun () -> built)
    }

/// Runs the site's program until it ends; signals are passed on, and its errors are this program's.
let start (place: Workplace) (arguments: string list) : Task<Result<unit, StageError>> =
    task {
        match! folder place with
        | Error error -> return Error error
        | Ok folder ->
            let arguments =
                arguments @ [ "--artifacts"; Path.GetFullPath place.Settings.Artifacts ]

            let executable = Path.Combine(folder, "dq-reports")

            let start =
                // a folder that needs no .NET has no `dotnet`
                if not (OperatingSystem.IsWindows()) && File.Exists executable then
                    started executable arguments
                else
                    started "dotnet" (Path.Combine(folder, library) :: arguments)

            return! run start place
    }
