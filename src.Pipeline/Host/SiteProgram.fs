/// The report site's own program: where it is, and how it is run. It knows neither this program nor libtorch.
module DQ.Pipeline.Host.SiteProgram

open System
open System.Diagnostics
open System.IO
open System.Net
open System.Net.Sockets
open System.Runtime.InteropServices
open System.Threading.Tasks
open DQ.Pipeline

[<DllImport("libc", EntryPoint = "kill", SetLastError = true)>]
extern int private signal(int processId, int number)

[<Literal>]
let private terminate = 15

/// Where the site listens unless told otherwise.
[<Literal>]
let DefaultUrls = "http://localhost:5080"

let private library = "dq-reports.dll"

let private isThere folder =
    File.Exists(Path.Combine(folder, library))

/// The folder of the .NET that runs this program; none where the program carries its own.
let private sharedDotnet =
    // of a shared one: DOTNET/shared/Microsoft.NETCore.App/10.0.12/
    match DirectoryInfo(RuntimeEnvironment.GetRuntimeDirectory()).Parent with
    | NonNull family when family.Name = "Microsoft.NETCore.App" ->
        Option.ofObj family.Parent
        |> Option.bind (fun shared -> Option.ofObj shared.Parent)
        |> Option.map _.FullName
    | _ -> None

let private executable (folder: string) name =
    Path.Combine(folder, (if OperatingSystem.IsWindows() then name + ".exe" else name))

/// Why the shared .NET can't run the site, if it can't: it may have come without the part for web sites.
let private missingFramework =
    let runs (family: string) =
        Directory.Exists family
        && Directory.EnumerateDirectories(family, $"{Environment.Version.Major}.*")
           |> Seq.isEmpty
           |> not

    sharedDotnet
    |> Option.map (fun dotnet -> Path.Combine(dotnet, "shared", "Microsoft.AspNetCore.App"))
    |> Option.filter (not << runs)
    |> Option.map (fun family ->
        $"the site needs the ASP.NET Core {Environment.Version.Major} runtime, and {family} has none: install it, or use the dq that needs no .NET (docs/installing.md)")

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

/// Where the site's program is.
type private Location =
    /// In this folder, ready to run.
    | Ready of string
    /// In the source tree with this root, to be built first, into this folder.
    | Source of root: string * built: string

/// Beside this program when published, in the source tree otherwise.
let private location =
    let published = Path.Combine(AppContext.BaseDirectory, "site")

    match missingFramework, sourceTree with
    | Some problem, _ -> Error problem
    | None, _ when isThere published -> Ok(Ready published)
    | None, None ->
        Error
            $"the site's program is not in {published}: install dq again (docs/installing.md), or run it from the source tree"
    | None, Some root ->
        let built = Path.Combine(root, "src.Reports", "bin", "Release", "net10.0")
        Ok(if isThere built then Ready built else Source(root, built))

/// Where the site's program is, for people; an error says why it can't run.
let describe () =
    match location with
    | Ok(Ready folder) -> Ok folder
    | Ok(Source(root, _)) -> Ok $"built on first use, from {root}"
    | Error problem -> Error problem

/// Keeps errors of ours, passes the rest on.
let rec private listen (pass: string -> unit) (errors: StreamReader) (messages: ResizeArray<string>) : Task<unit> =
    task {
        match! errors.ReadLineAsync() with
        | null -> return ()
        | line ->
            if line.StartsWith("dq: ", StringComparison.Ordinal) then
                messages.Add line[4..]
            else
                pass line

            return! listen pass errors messages
    }

/// Runs a process to its end; its errors are ours.
let private run pass (start: ProcessStartInfo) (place: Workplace) : Task<Result<unit, StageError>> =
    task {
        use child = nonNull (Process.Start start)
        let messages = ResizeArray<string>()

        let listened = listen pass child.StandardError messages

        use _ =
            place.Interruption.Token.Register(fun () ->
                if not child.HasExited && not (OperatingSystem.IsWindows()) then
                    signal (child.Id, terminate) |> ignore)

        do! child.WaitForExitAsync()
        do! listened

        match child.ExitCode with
        | _ when place.Interruption.Token.IsCancellationRequested -> return Error place.Interruption.Reason
        | 0 -> return Ok()
        | 2 when messages.Count > 0 -> return Error(Usage(String.concat "; " messages))
        | _ when messages.Count > 0 -> return Error(Data(String.concat "; " messages))
        | code -> return Error(CheckFailed $"{start.FileName}: ended with code {code}")
    }

let private started (file: string) (arguments: string list) =
    ProcessStartInfo(file, arguments, RedirectStandardError = true, UseShellExecute = false)

let private build root place =
    let project = Path.Combine(root, "src.Reports")

    let dotnet =
        match sharedDotnet with
        | Some folder -> executable folder "dotnet"
        | None -> "dotnet"

    started dotnet [ "build"; "-c"; "Release"; "-v"; "quiet"; "--nologo"; project ]
    |> fun start ->
        // what it builds is no result of this command
        start.RedirectStandardOutput <- true
        run (eprintfn "%s") start place

/// Why the site could not listen at one of these addresses now; none where it could.
let listeningProblem (urls: string) =
    let address (uri: Uri) =
        match IPAddress.TryParse uri.DnsSafeHost with
        | true, NonNull address -> address
        | _ when uri.IsLoopback -> IPAddress.Loopback
        // any other name stands for all addresses
        | _ -> IPAddress.Any

    let problem (url: string) =
        match Uri.TryCreate(url.Trim().Replace("//*", "//0.0.0.0").Replace("//+", "//0.0.0.0"), UriKind.Absolute) with
        | true, NonNull uri when uri.Scheme = Uri.UriSchemeHttp || uri.Scheme = Uri.UriSchemeHttps ->
            try
                use listener = new TcpListener(address uri, uri.Port)
                listener.Start()
                None
            with :? SocketException as error ->
                Some $"{url}: {error.Message}"
        | _ -> Some $"{url}: expected an address such as {DefaultUrls}"

    urls.Split(';', StringSplitOptions.RemoveEmptyEntries) |> Seq.tryPick problem

/// The folder of the site's program.
let private folder (place: Workplace) : Task<Result<string, StageError>> =
    task {
        match location with
        | Error problem -> return Error(CheckFailed problem)
        | Ok(Ready folder) -> return Ok folder
        | Ok(Source(root, built)) ->
            place.Output.Note "building the site; the first time takes a minute"
            let! result = build root place
            return result |> Result.map (fun () -> built)
    }

/// Runs the site's program until it ends; signals are passed on, its errors are this program's, and so is what it prints unless
/// `silent`.
let start (place: Workplace) silent (arguments: string list) : Task<Result<unit, StageError>> =
    task {
        match! folder place with
        | Error error -> return Error error
        | Ok folder ->
            let arguments =
                arguments @ [ "--artifacts"; Path.GetFullPath place.Settings.Artifacts ]

            let start =
                match sharedDotnet with
                // another `dotnet` may be first on the path, or none
                | Some dotnet -> started (executable dotnet "dotnet") (Path.Combine(folder, library) :: arguments)
                | None when File.Exists(executable folder "dq-reports") ->
                    started (executable folder "dq-reports") arguments
                // built in the source tree, for a shared .NET
                | None -> started "dotnet" (Path.Combine(folder, library) :: arguments)

            start.RedirectStandardOutput <- silent
            // beside a result they are notes, which --quiet leaves out
            return! run (if silent then place.Output.Note else eprintfn "%s") start place
    }
