/// Real processes under the system's own MPI launchers. Where one is missing its tests are skipped, and say so; in CI they must run.
module DQ.Tests.Parallel.Mpi

open System
open System.Diagnostics
open System.IO
open System.Text.Json.Nodes
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Training
open DQ.Pipeline.Training
open DQ.Tests.Pipeline.Program

type Launcher = {
    Name: string
    Program: string
    Options: string list
    /// Debian's package.
    Package: string
    /// What the launcher gives when one of its processes was killed, and what its message has.
    ExitCodeOfKilled: int
    LineOfKilled: string
}

let openMpi = {
    Name = "Open MPI"
    Program = "/usr/bin/mpirun.openmpi"
    Options = [ "--oversubscribe"; "--allow-run-as-root"; "--bind-to"; "none" ]
    Package = "openmpi-bin"
    ExitCodeOfKilled = 137
    LineOfKilled = "exited on signal 9"
}

let mpich = {
    Name = "MPICH"
    Program = "/usr/bin/mpiexec.mpich"
    Options = []
    Package = "mpich"
    ExitCodeOfKilled = 9
    LineOfKilled = "EXIT CODE: 9"
}

let private isCi = Environment.GetEnvironmentVariable "CI" = "true"

/// Skips a test, or fails it in CI, where what it needs is missing.
let need (isThere: bool) what =
    if not isThere then
        if isCi then failtest what else skiptest what

let needLauncher launcher =
    need (File.Exists launcher.Program) $"no {launcher.Name}: apt-get install {launcher.Package}"

/// What one or several ranks run: `Shell` comes before the program, such as `cd there && exec `.
type Ranks = { Count: int; Shell: string }

let plain count = { Count = count; Shell = "exec " }

let quoted (text: string) = "'" + text.Replace("'", "'\\''") + "'"

/// Of a shell: the launcher with dq on some ranks, and the same dq in another shell on further ones.
let command launcher (ranks: Ranks list) (arguments: string list) : string =
    let dq = String.concat " " ("dotnet" :: List.map quoted (program :: arguments))

    let parts = [
        for ranks in ranks -> String.concat " " [ "-n"; string ranks.Count; "/bin/sh"; "-c"; quoted (ranks.Shell + dq) ]
    ]

    String.concat " " (launcher.Program :: launcher.Options)
    + " "
    + String.concat " : " parts

/// Starts a command of a shell as dq is started.
let startShell (command: string) : Process =
    let start = ProcessStartInfo("/bin/sh", [ "-c"; command ])
    start.Environment["OMP_NUM_THREADS"] <- "1"
    start.Environment["DOTNET_EnableWriteXorExecute"] <- "0"
    start.RedirectStandardOutput <- true
    start.RedirectStandardError <- true
    nonNull (Process.Start start)

let start launcher ranks arguments =
    startShell ("exec " + command launcher ranks arguments)

let run launcher ranks arguments =
    finish (start launcher [ plain ranks ] arguments)

/// Whether this process may give another one file systems of its own.
let canMount =
    lazy
        (File.Exists "/usr/bin/unshare"
         && (use tried = Process.Start("/usr/bin/unshare", [ "-m"; "true" ])
             tried.WaitForExit()
             tried.ExitCode = 0))

/// Before a program: it sees the file systems that `mounting` makes, and nobody else does.
let withMounts (mounting: string) =
    let script = mounting + " && exec \"$@\""
    $"exec unshare -m sh -c {quoted script} dq "

/// Processes of dq that work in a folder of artifacts, by number.
let processes (artifacts: string) =
    Directory.GetDirectories "/proc"
    |> Array.choose (fun folder ->
        match Int32.TryParse(Path.GetFileName folder) with
        | true, id ->
            try
                let line = File.ReadAllText(Path.Combine(folder, "cmdline"))

                if line.StartsWith "dotnet\000" && line.Contains artifacts then
                    Some id
                else
                    None
            with
            | :? IOException
            | :? UnauthorizedAccessException -> None
        | _ -> None)
    |> Array.sort

let runFolder artifacts =
    Directory.GetDirectories(Path.Combine(artifacts, RunLayout.Runs))
    |> Array.exactlyOne

let record artifacts =
    ArtifactJson.Read<RunRecord>(Path.Combine(runFolder artifacts, RunLayout.Run))

/// Step of the latest checkpoint; 0 before there is one.
let latestCheckpoint artifacts =
    if Directory.Exists artifacts then
        Directory.GetFiles(artifacts, "step-*.json", SearchOption.AllDirectories)
        |> Array.map (fun file -> int64 ((nonNull (Path.GetFileNameWithoutExtension file))["step-".Length ..]))
        |> Array.fold max 0L
    else
        0L

/// Lines of metrics.jsonl up to a step: what is measured, without times.
let metrics artifacts (until: int64) = [
    for line in File.ReadAllLines(Path.Combine(runFolder artifacts, RunLayout.Metrics)) do
        let record = (nonNull (JsonNode.Parse line)).AsObject()

        for key in [ "seconds"; "images_per_second"; "levels" ] do
            record.Remove key |> ignore

        let numbers = [
            for pair in record do
                match pair.Value with
                | :? JsonValue as value when value.GetValueKind() = Text.Json.JsonValueKind.Number ->
                    pair.Key, value.GetValue<float>()
                | _ -> ()
        ]

        if
            numbers
            |> List.exists (fun (key, value) -> key = "step" && int64 value <= until)
        then
            numbers
]

/// Weights and codebooks of the checkpoint of a step, by name.
let weights artifacts (step: int64) : (string * float32[]) list =
    use file = Checkpoint.Open(Checkpoints.weights (runFolder artifacts) step)
    use model = file.Model()

    [
        for KeyValue(name, tensor) in model.state_dict () ->
            name, tensor.detach().contiguous().data<float32>().ToArray()
    ]

/// Two runs with the same numbers up to this step, but for rounding.
let isAlike (artifacts: string) (expected: string) (step: int64) =
    let found, wanted = metrics artifacts step, metrics expected step
    Expect.equal found.Length wanted.Length "lines of metrics"
    Expect.isNonEmpty found "lines of metrics"

    for found, wanted in List.zip found wanted do
        for (key, found), (_, wanted) in List.zip found wanted do
            Expect.isLessThanOrEqual (abs (found - wanted)) (1e-3 * max 1e-2 (abs wanted)) $"{key}: {found}, {wanted}"

    for (name, found), (_, wanted) in List.zip (weights artifacts step) (weights expected step) do
        let largest = wanted |> Array.map abs |> Array.max |> float

        let apart =
            Array.map2 (fun (a: float32) b -> abs (float a - float b)) found wanted
            |> Array.max

        Expect.isLessThanOrEqual apart (1e-2 * max 1e-2 largest) $"{name}: {apart} of {largest}"

/// Two runs with the same numbers up to this step, bit for bit: as many ranks add in the same order.
let isSame (artifacts: string) (expected: string) (step: int64) =
    Expect.isNonEmpty (metrics artifacts step) "lines of metrics"
    Expect.equal (metrics artifacts step) (metrics expected step) "metrics"

    for (name, found), (_, wanted) in List.zip (weights artifacts step) (weights expected step) do
        Expect.equal found wanted name
