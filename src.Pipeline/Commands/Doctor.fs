/// `dq doctor`: what this machine has, and what to do where something is missing.
module DQ.Pipeline.Commands.Doctor

open System
open System.IO
open System.Runtime.InteropServices
open System.Threading.Tasks
open Argu
open DQ.Core.Native
open DQ.Core.Parallel
open DQ.Pipeline
open DQ.Pipeline.Numbers
open DQ.Pipeline.Training
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open TorchSharp

type Arguments =
    | [<Unique>] Urls of URLS: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Urls _ -> $"where serve would listen (default: DQ_URLS, else {SiteProgram.DefaultUrls})."

let example = "dq doctor --json"

type private Torch = {
    Report: LibTorchReport
    Threads: Threads.Threads
    Cuda: bool
    CudaDevices: int
}

let private torchState (place: Workplace) =
    Workplace.loadTorch place
    |> Result.bind (fun report ->
        Threads.choose place.Settings.Threads
        |> Result.map (fun threads -> report, threads))
    |> Result.map (fun (report, threads) ->
        let cuda = report.CudaLibraries && torch.cuda.is_available ()

        {
            Report = report
            Threads = threads
            Cuda = cuda
            CudaDevices = if cuda then torch.cuda.device_count () else 0
        })

/// What `dq serve` needs.
type private Site = {
    /// Where its program is; an error says why it can't run.
    Program: Result<string, string>
    Urls: string
    /// Why it could not listen there now.
    ListeningProblem: string option
}

let private siteState (arguments: ParseResults<Arguments>) =
    let urls =
        arguments.TryGetResult Urls
        |> Option.orElse (Option.ofObj (Environment.GetEnvironmentVariable "DQ_URLS"))
        |> Option.filter (not << String.IsNullOrWhiteSpace)
        |> Option.defaultValue SiteProgram.DefaultUrls

    {
        Program = SiteProgram.describe ()
        Urls = urls
        ListeningProblem = SiteProgram.listeningProblem urls
    }

let private gigabytes (bytes: int64) = number "F1" (float bytes / 1e9) + " GB"

/// What to do about what was found.
let private advice (place: Workplace) torch site disk available = [
    match torch with
    | Error error -> yield! StageError.lines error
    | Ok torch ->
        yield! torch.Report.Notes

        if not torch.Cuda then
            if torch.Report.CudaLibraries then
                "libtorch has CUDA, but no device can be used: check the driver (nvidia-smi)"
            else
                "for a GPU: --libtorch DIR or DQ_LIBTORCH with a libtorch that has CUDA, such as torch/lib of a Python install, or build with -p:TorchBackend=cuda"

        match Device.ofName place.Settings.Device with
        | Ok _ -> ()
        | Error error -> yield! StageError.lines error
    match site.Program with
    | Error problem -> $"dq serve and dq report: {problem}"
    | Ok _ -> ()
    match site.ListeningProblem with
    | Some problem -> $"dq serve: {problem}: give it another address with --urls"
    | None -> ()
    yield! Disk.warnings disk
    if available < 4_000_000_000L then
        $"only {gigabytes available} of memory are free: dq plan CONFIG estimates what a run needs"
]

let run (place: Workplace) (arguments: ParseResults<Arguments>) : Task<Result<unit, StageError>> =
    let torch = torchState place
    let total, available = Memory.ofMachine ()
    let site = siteState arguments
    let disk = Disk.ofFolder place.Settings.Artifacts
    let mpi = MpiLibrary.All() |> List.ofSeq
    let advice = advice place torch site disk available

    let torchRows =
        match torch with
        | Error _ -> [ [ "libtorch"; "does not load" ] ]
        | Ok torch ->
            let version =
                torch.Report.FoundTorchVersion
                |> Option.ofObj
                |> Option.defaultValue "version not said"

            let relaxed =
                if torch.Report.BridgeRelaxed then
                    " (private copy, one symbol version made optional)"
                else
                    ""

            [
                [ "libtorch"; $"{version}, from {torch.Report.Source}: {torch.Report.Folder}" ]
                [
                    "TorchSharp"
                    $"{torch.Report.TorchSharpVersion}, built for libtorch {torch.Report.ExpectedTorchVersion}"
                ]
                [ "bridge"; torch.Report.Bridge + relaxed ]
                [ "threads"; Threads.describe torch.Threads ]
                [
                    "CUDA"
                    (if torch.Cuda then
                         $"{torch.CudaDevices} devices"
                     else
                         "not available")
                ]
            ]

    let text =
        Table.render Table.Left [
            [ "dq"; Workplace.versionText ]
            [
                "system"
                $"{RuntimeInformation.OSDescription}, {RuntimeInformation.RuntimeIdentifier}"
            ]
            [ "runtime"; RuntimeInformation.FrameworkDescription ]
            yield! torchRows
            [
                "MPI"
                (match mpi with
                 | [] -> "none found; only needed for one training in several processes"
                 | found ->
                     found
                     |> Seq.map (fun library -> $"{library.Version} ({library.File})")
                     |> String.concat ", ")
            ]
            [ "device"; place.Settings.Device ]
            [ "processors"; string Environment.ProcessorCount ]
            [ "memory"; $"{gigabytes total}, {gigabytes available} free" ]
            [
                "artifacts"
                $"{Path.GetFullPath place.Settings.Artifacts}, {gigabytes disk.FreeBytes} of {gigabytes disk.TotalBytes} free, {disk.FileSystem}"
            ]
            [
                "site"
                (match site.Program with
                 | Ok folder -> folder
                 | Error _ -> "can't run")
            ]
            [
                "site's address"
                site.Urls
                + (if site.ListeningProblem.IsNone then
                       ", free"
                   else
                       ", not free")
            ]
        ]
        + String.concat "" [ for line in advice -> $"- {line}\n" ]

    let data = {|
        Dq = Workplace.version
        Commit = Option.toObj Workplace.commit
        System = RuntimeInformation.OSDescription
        RuntimeIdentifier = RuntimeInformation.RuntimeIdentifier
        Runtime = RuntimeInformation.FrameworkDescription
        Libtorch =
            (match torch with
             | Ok torch -> torch.Report
             | Error _ -> Unchecked.defaultof<_>)
        Threads =
            (match torch with
             | Ok torch -> Nullable torch.Threads.Count
             | Error _ -> Nullable())
        CudaDevices =
            (match torch with
             | Ok torch -> torch.CudaDevices
             | Error _ -> 0)
        Mpi = mpi |> List.map _.Version
        Device = place.Settings.Device
        Processors = Environment.ProcessorCount
        MemoryTotalBytes = total
        MemoryAvailableBytes = available
        Artifacts = Path.GetFullPath place.Settings.Artifacts
        DiskFreeBytes = disk.FreeBytes
        DiskTotalBytes = disk.TotalBytes
        FileSystem = disk.FileSystem
        NetworkFileSystem = disk.IsNetwork
        Site = site.Program |> Result.toOption |> Option.toObj
        SiteUrls = site.Urls
        SiteUrlsFree = site.ListeningProblem.IsNone
        Advice = advice
    |}

    place.Output.Result(text, data)
    torch |> Result.map ignore |> Task.FromResult
