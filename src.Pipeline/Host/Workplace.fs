namespace DQ.Pipeline.Host

open System
open System.Collections.Generic
open System.Reflection
open System.Runtime.InteropServices
open DQ.Core.Artifacts
open DQ.Core.Native
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages
open FsToolkit.ErrorHandling
open Microsoft.Extensions.Configuration
open Microsoft.Extensions.Hosting
open Microsoft.Extensions.DependencyInjection
open Microsoft.Extensions.Logging
open Microsoft.Extensions.Logging.Console

/// Settings of the program on this machine, not of a run: from the command line, else from `DQ_…` variables.
type HostSettings = {
    /// `--artifacts`, `DQ_ARTIFACTS`.
    Artifacts: string
    /// `--libtorch`; `DQ_LIBTORCH` is read where libtorch is loaded.
    LibTorch: string option
    /// `--device`, `DQ_DEVICE`.
    Device: string
    /// `--threads`, `DQ_THREADS`, else `OMP_NUM_THREADS`; None where the machine decides.
    Threads: string option
}

/// What every command is given.
type Workplace = {
    Settings: HostSettings
    Output: Output
    Interruption: Interruption
    Log: ILogger
    /// What plans look at; files are hashed once for all of them.
    Standing: Standing
    /// The processes that run this command together.
    Team: Team
}

module Workplace =
    /// Version of this program, and the commit it was built from: the SDK writes `0.2.0+COMMIT`, and no commit outside of git.
    let version, commit =
        match Assembly.GetExecutingAssembly().GetCustomAttribute<AssemblyInformationalVersionAttribute>() with
        | null -> "unknown", None
        | written ->
            match written.InformationalVersion.Split('+', 2) with
            | [| version; commit |] -> version, Some commit
            | _ -> written.InformationalVersion, None

    /// Version and commit, for people: `0.2.0 (1d7cb6c)`.
    let versionText =
        match commit with
        | Some commit -> $"{version} ({commit[..6]})"
        | None -> version

    /// The host's settings and logging. Command-line values win over the environment; `DQ_Logging__LogLevel__Default`
    /// and its like set what is logged.
    let settings (options: (string * string) list) (verbosity: Verbosity) : HostSettings * IHost =
        let builder = Host.CreateEmptyApplicationBuilder(HostApplicationBuilderSettings())
        builder.Configuration.AddEnvironmentVariables "DQ_" |> ignore

        let overlay = [ for key, value in options -> KeyValuePair<string, string | null>(key, value) ]
        builder.Configuration.AddInMemoryCollection overlay |> ignore

        builder.Logging
            .AddConfiguration(builder.Configuration.GetSection "Logging")
            .AddSimpleConsole(fun options -> options.SingleLine <- true)
            .Services.Configure<ConsoleLoggerOptions>(fun (options: ConsoleLoggerOptions) ->
                options.LogToStandardErrorThreshold <- LogLevel.Trace)
        |> ignore

        builder.Logging.SetMinimumLevel(
            if verbosity.Verbose then
                LogLevel.Debug
            else
                LogLevel.Warning
        )
        |> ignore

        let host = builder.Build()

        let value key fallback =
            match builder.Configuration[key] with
            | null
            | "" -> fallback
            | value -> value

        {
            Artifacts = value "ARTIFACTS" "artifacts"
            LibTorch = List.tryPick (fun (key, value) -> if key = "LIBTORCH" then Some value else None) options
            Device = value "DEVICE" "cpu"
            Threads =
                [
                    builder.Configuration["THREADS"]
                    Environment.GetEnvironmentVariable "OMP_NUM_THREADS"
                ]
                |> List.choose Option.ofObj
                |> List.tryFind (fun text -> text <> "")
        },
        host

    let logger (host: IHost) =
        host.Services.GetRequiredService<ILoggerFactory>().CreateLogger "dq"

    /// Loads libtorch from where the settings say, to compute with as many threads as they say.
    let loadTorch (place: Workplace) : Result<LibTorchReport, StageError> =
        result {
            let! threads =
                Threads.choose place.Settings.Threads
                |> Result.map (Threads.ofRanks place.Team.OnThisMachine)

            try
                let report = LibTorch.Load(Option.toObj place.Settings.LibTorch)
                TorchSharp.torch.set_num_threads threads.Count

                for note in report.Notes do
                    place.Log.LogDebug("libtorch: {Note}", note)

                return report
            with :? LibTorchException as error ->
                return! Error(CheckFailed $"{error.Message}; dq doctor says more")
        }

    let private software (report: LibTorchReport) =
        SoftwareRecord(
            version,
            report.TorchSharpVersion,
            (match report.FoundTorchVersion with
             | null -> "unknown"
             | version -> version),
            RuntimeInformation.FrameworkDescription,
            RuntimeInformation.OSDescription,
            Option.toObj commit
        )

    /// To read from.
    let store (place: Workplace) = Store.at place.Settings.Artifacts

    /// What stages work with; loads libtorch.
    let context (place: Workplace) force : Result<StageContext, StageError> =
        result {
            let! store = Store.openAt place.Settings.Artifacts
            let! report = loadTorch place

            return {
                Standing = {
                    place.Standing with
                        Store = store
                        Force = force
                }
                Device = place.Settings.Device
                Software = software report
                Cancellation = place.Interruption.Token
                Stopped = fun () -> place.Interruption.Reason
                Team = place.Team
                KeepThreads = place.Settings.Threads.IsNone
                Progress = place.Output.Progress
                Note = place.Output.Note
            }
        }
