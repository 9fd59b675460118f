/// `dq doctor`: what this machine has, and what to do where something is missing.
module DQ.Pipeline.Commands.Doctor

open System
open System.IO
open System.Runtime.InteropServices
open System.Threading.Tasks
open DQ.Core.Native
open DQ.Pipeline
open TorchSharp

let example = "dq doctor --json"

type private Torch = {
    Report: LibTorchReport
    Threads: int
    Cuda: bool
    CudaDevices: int
}

let private torchState (place: Workplace) =
    Workplace.loadTorch place
    |> Result.map (fun report ->
        let cuda = report.CudaLibraries && torch.cuda.is_available ()

        {
            Report = report
            Threads = torch.get_num_threads ()
            Cuda = cuda
            CudaDevices = if cuda then torch.cuda.device_count () else 0
        })

/// Bytes free for artifacts: on the disk of the folder, or of the nearest one above it that exists.
let private diskFree (folder: string) =
    let rec existing (folder: DirectoryInfo) =
        match folder.Exists, folder.Parent with
        | false, NonNull parent -> existing parent
        | _ -> folder

    DriveInfo(existing(DirectoryInfo(Path.GetFullPath folder)).FullName).AvailableFreeSpace

let private gigabytes (bytes: int64) =
    (float bytes / 1e9).ToString("F1", Globalization.CultureInfo.InvariantCulture)
    + " GB"

/// What to do about what was found.
let private advice (place: Workplace) torch disk available = [
    match torch with
    | Error error -> yield! StageError.lines error
    | Ok torch ->
        yield! torch.Report.Notes

        if not torch.Cuda then
            if torch.Report.CudaLibraries then
                "libtorch has CUDA, but no device can be used: check the driver (nvidia-smi)"
            else
                "for a GPU: --libtorch DIR or DQ_LIBTORCH with a libtorch that has CUDA, such as torch/lib of a Python install, or build with -p:TorchBackend=cuda"

        if place.Settings.Device <> "cpu" && not torch.Cuda then
            $"the device asked for, {place.Settings.Device}, can't be used"
    if disk < 2_000_000_000L then
        $"only {gigabytes disk} are free for artifacts: choose another folder with --artifacts DIR or DQ_ARTIFACTS"
    if available < 4_000_000_000L then
        $"only {gigabytes available} of memory are free: dq plan CONFIG estimates what a run needs"
]

let run (place: Workplace) : Task<Result<unit, StageError>> =
    let torch = torchState place
    let total, available = Memory.ofMachine ()
    let disk = diskFree place.Settings.Artifacts
    let advice = advice place torch disk available

    let torchRows =
        match torch with
        | Error _ -> [ [ "libtorch"; "does not load" ] ]
        | Ok torch ->
            let found =
                torch.Report.FoundTorchVersion
                |> Option.ofObj
                |> Option.defaultValue "version not said"

            let relaxed =
                if torch.Report.BridgeRelaxed then
                    " (private copy, one symbol version made optional)"
                else
                    ""

            [
                [ "libtorch"; $"{found}, from {torch.Report.Source}: {torch.Report.Folder}" ]
                [
                    "TorchSharp"
                    $"{torch.Report.TorchSharpVersion}, built for libtorch {torch.Report.ExpectedTorchVersion}"
                ]
                [ "bridge"; torch.Report.Bridge + relaxed ]
                [ "threads"; string torch.Threads ]
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
            [ "dq"; Workplace.version ]
            [
                "system"
                $"{RuntimeInformation.OSDescription}, {RuntimeInformation.RuntimeIdentifier}"
            ]
            [ "runtime"; RuntimeInformation.FrameworkDescription ]
            yield! torchRows
            [ "device"; place.Settings.Device ]
            [ "processors"; string Environment.ProcessorCount ]
            [ "memory"; $"{gigabytes total}, {gigabytes available} free" ]
            [
                "artifacts"
                $"{Path.GetFullPath place.Settings.Artifacts}, {gigabytes disk} free"
            ]
        ]
        + String.concat "" [ for line in advice -> $"- {line}\n" ]

    let data = {|
        Dq = Workplace.version
        System = RuntimeInformation.OSDescription
        RuntimeIdentifier = RuntimeInformation.RuntimeIdentifier
        Runtime = RuntimeInformation.FrameworkDescription
        Libtorch =
            (match torch with
             | Ok torch -> torch.Report
             | Error _ -> Unchecked.defaultof<_>)
        Threads =
            (match torch with
             | Ok torch -> Nullable torch.Threads
             | Error _ -> Nullable())
        CudaDevices =
            (match torch with
             | Ok torch -> torch.CudaDevices
             | Error _ -> 0)
        Device = place.Settings.Device
        Processors = Environment.ProcessorCount
        MemoryTotalBytes = total
        MemoryAvailableBytes = available
        Artifacts = Path.GetFullPath place.Settings.Artifacts
        DiskFreeBytes = disk
        Advice = advice
    |}

    place.Output.Result(text, data)
    torch |> Result.map ignore |> Task.FromResult
