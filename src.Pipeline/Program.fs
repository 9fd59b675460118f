/// The `dq` program: parses the command line, sets the place up, runs one command and gives its exit code.
module DQ.Pipeline.Program

open System
open System.Threading.Tasks
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Pipeline.Storage
open DQ.Pipeline.Host
open Argu
open DQ.Pipeline.Commands

type Arguments =
    | [<CliPrefix(CliPrefix.None)>] Run of ParseResults<Run.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Ingest of ParseResults<Ingest.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Train of ParseResults<Train.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Evaluate of ParseResults<Evaluate.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Classify of ParseResults<Classify.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Sweep of ParseResults<Sweep.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Progressive of ParseResults<Progressive.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Find_Rate of ParseResults<FindRate.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Plan of ParseResults<Plan.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Runs of ParseResults<Runs.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Datasets of ParseResults<Datasets.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Density of ParseResults<Density.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Allocate of ParseResults<Allocate.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Prior of ParseResults<Prior.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Sample of ParseResults<Sample.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Import of ParseResults<Import.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Export of ParseResults<Export.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Reconstruct of ParseResults<Reconstruct.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Encode of ParseResults<Encode.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Decode of ParseResults<Decode.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Compress of ParseResults<Compress.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Decompress of ParseResults<Decompress.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Info of ParseResults<Info.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Verify of ParseResults<Verify.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Bench of ParseResults<Bench.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Serve of ParseResults<Serve.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Report of ParseResults<Report.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Doctor of ParseResults<Doctor.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Schema of ParseResults<Schema.Arguments>
    | [<CliPrefix(CliPrefix.None)>] Completion of ParseResults<Completion.Arguments>
    | [<Inherit; Unique>] Artifacts of DIR: string
    | [<Inherit; Unique>] Device of NAME: string
    | [<Inherit; Unique>] Libtorch of DIR: string
    | [<Inherit; Unique>] Threads of N: string
    | [<Inherit; Unique>] Json
    | [<Inherit; Unique>] Quiet
    | [<Inherit; Unique>] Verbose
    | [<Unique>] Version

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Run _ -> "run the whole pipeline of a configuration: ingest, train, evaluate, one table."
            | Ingest _ -> "pack images into a data set."
            | Train _ -> "train a model."
            | Evaluate _ -> "evaluate trained runs on whole splits."
            | Classify _ -> "train and evaluate classifiers on quantized features."
            | Sweep _ -> "run a grid or list of settings, and make one table."
            | Progressive _ -> "train one model at growing image sizes, and for comparison one at the last size alone."
            | Find_Rate _ -> "try growing learning rates on a new model, and say which ones train it."
            | Plan _ -> "say what run would do, why, and what it would cost."
            | Runs _ -> "list, show, compare, export, annotate and delete runs."
            | Datasets _ -> "list packed data sets, and show one with a sheet of its images."
            | Density _ -> "measure how well quantizers alone describe a network's features."
            | Allocate _ -> "allocate bits to the channels of a network's features."
            | Prior _ -> "train a prior over a run's codes, and say what they cost under it."
            | Sample _ -> "draw pictures from a prior."
            | Import _ -> "make a run from weights of the published implementation, or from bare weights."
            | Export _ -> "write a run's weights as safetensors, for PyTorch."
            | Reconstruct _ -> "reconstruct pictures with a trained model, and print their rates."
            | Encode _ -> "write images as codes, for another model or program."
            | Decode _ -> "make pictures from codes."
            | Compress _ -> "pack pictures into one lossless file."
            | Decompress _ -> "unpack a lossless file."
            | Info _ -> "say what a lossless file holds."
            | Verify _ -> "compare this program with recorded outputs of the published implementation."
            | Bench _ -> "time the parts of training and evaluation on this machine."
            | Serve _ -> "serve the report site: runs, curves, pictures, comparisons in a browser."
            | Report _ -> "write runs as one HTML file to send to someone."
            | Doctor _ -> "say what this machine has, and what to do where something is missing."
            | Schema _ -> "print the JSON Schema of configurations, for editors."
            | Completion _ -> "print what a shell needs to complete commands, options, settings and runs."
            | Artifacts _ -> "where artifacts are kept (default: DQ_ARTIFACTS, else artifacts)."
            | Device _ -> "cpu, cuda or cuda:N (default: DQ_DEVICE, else cpu)."
            | Libtorch _ -> "folder with libtorch (default: DQ_LIBTORCH, else the package's own)."
            | Threads _ ->
                "threads to compute with (default: DQ_THREADS, else as many as processors are free, half of them at least)."
            | Json -> "print the result as JSON on standard output."
            | Quiet -> "no progress and no notes."
            | Verbose -> "more detail; stack traces of errors."
            | Version -> "the version of this program, and the commit it was built from."

let private examples = [
    "run", Run.example
    "ingest", Ingest.example
    "train", Train.example
    "evaluate", Evaluate.example
    "classify", Classify.example
    "sweep", Sweep.example
    "progressive", Progressive.example
    "find-rate", FindRate.example
    "plan", Plan.example
    "runs", Runs.example
    "datasets", Datasets.example
    "density", Density.example
    "allocate", Allocate.example
    "prior", Prior.example
    "sample", Sample.example
    "import", Import.example
    "export", Export.example
    "reconstruct", Reconstruct.example
    "encode", Encode.example
    "decode", Decode.example
    "compress", Compress.example
    "decompress", Decompress.example
    "info", Info.example
    "verify", Verify.example
    "bench", Bench.example
    "serve", Serve.example
    "report", Report.example
    "doctor", Doctor.example
    "schema", Schema.example
    "completion", Completion.example
]

let private helpFor (argv: string[]) (usage: string) =
    let shown =
        examples
        |> List.tryFind (fun (name, _) -> Array.contains name argv)
        |> Option.map snd
        |> Option.defaultValue Run.example

    $"{usage.TrimEnd()}\n\nEXAMPLE:\n\n  {shown}\n"

let private parser =
    Joining.plainTerminal ()
    ArgumentParser.Create<Arguments>(programName = "dq")

let private dispatch (place: Workplace) (parsed: ParseResults<Arguments>) : Task<Result<unit, StageError>> =
    match parsed.GetSubCommand() with
    | Run arguments -> Run.run place arguments
    | Ingest arguments -> Ingest.run place arguments
    | Train arguments -> Train.run place arguments
    | Evaluate arguments -> Evaluate.run place arguments
    | Classify arguments -> Classify.run place arguments
    | Sweep arguments -> Sweep.run place arguments
    | Progressive arguments -> Progressive.run place arguments
    | Find_Rate arguments -> FindRate.run place arguments
    | Plan arguments -> Plan.run place arguments
    | Runs arguments -> Runs.run place arguments
    | Datasets arguments -> Datasets.run place arguments
    | Density arguments -> Density.run place arguments
    | Allocate arguments -> Allocate.run place arguments
    | Prior arguments -> Prior.run place arguments
    | Sample arguments -> Sample.run place arguments
    | Import arguments -> Import.run place arguments
    | Export arguments -> Export.run place arguments
    | Reconstruct arguments -> Reconstruct.run place arguments
    | Encode arguments -> Encode.run place arguments
    | Decode arguments -> Decode.run place arguments
    | Compress arguments -> Compress.run place arguments
    | Decompress arguments -> Decompress.run place arguments
    | Info arguments -> Info.run place arguments
    | Verify arguments -> Verify.run place arguments
    | Bench arguments -> Bench.run place arguments
    | Serve arguments -> Serve.run place arguments
    | Report arguments -> Report.run place arguments
    | Doctor arguments -> Doctor.run place arguments
    | Schema arguments -> Schema.run arguments
    | Completion arguments -> Completion.run place parser arguments
    | other -> Task.FromResult(Error(Usage $"{other} is no command"))

/// Minutes after which the command saves and stops: what a timer can hold, 2^32 milliseconds and no more.
let private maxMinutes (parsed: ParseResults<Arguments>) : Result<float option, StageError> =
    let minutes =
        match parsed.GetSubCommand() with
        | Run arguments
        | Train arguments -> arguments.TryGetResult ModelArguments.Max_Minutes
        | Classify arguments -> arguments.TryGetResult Classify.Max_Minutes
        | Progressive arguments -> arguments.TryGetResult Progressive.Max_Minutes
        | Sweep arguments -> arguments.TryGetResult Sweep.Max_Minutes
        | Density arguments -> arguments.TryGetResult Density.Max_Minutes
        | Allocate arguments -> arguments.TryGetResult Allocate.Max_Minutes
        | Prior arguments -> arguments.TryGetResult Prior.Max_Minutes
        | _ -> None

    match minutes with
    | Some minutes when not (minutes > 0.0 && minutes < 70_000.0) ->
        Error(Usage $"--max-minutes: expected a number above 0 and below 70000, got {minutes}")
    | _ -> Ok minutes

/// What a command leaves that saves nothing on the way and is told to stop; None for those that save, and end by themselves.
let private leaves (parsed: ParseResults<Arguments>) : string option =
    match parsed.GetSubCommand() with
    | Encode _
    | Sample _
    | Compress _
    | Export _
    | Report _
    | Schema _
    | Completion _ -> Some "nothing was written"
    | Reconstruct _
    | Decompress _
    | Decode _ -> Some "the pictures written so far are whole"
    | Import _ -> Some "the same command imports again"
    | Plan _
    | Find_Rate _
    | Datasets _
    | Verify _
    | Bench _
    | Info _
    | Doctor _ -> Some "nothing was changed"
    | Runs _ -> Some "each run is changed or not, nothing in between"
    | Serve _ -> Some "the site is closed"
    | _ -> None

/// Argu's first line; the usage it adds is what --help shows.
let private usageError (error: ArguParseException) =
    let first = (error.Message.Split '\n')[0]
    let reason = if first.StartsWith "ERROR: " then first[7..] else first
    Usage $"{reason.Trim()} (dq --help)"

/// Exceptions that say something about the user's files are errors like the others; the rest are ours.
let private attempt (place: Workplace) work =
    task {
        try
            return! work ()
        with
        | :? ArguParseException as error -> return Error(usageError error)
        | error ->
            match Stage.expected (fun () -> place.Interruption.Reason) error with
            | Some failure -> return Error failure
            | None ->
                if place.Output.Verbose then
                    eprintfn $"{error}"

                return
                    Error(
                        CheckFailed
                            $"an error of this program: {error.GetType().Name}: {Stage.firstLine error}; please report it with what --verbose shows"
                    )
    }

/// Commands that several processes run as one; dq prior is refused where there are several. Any other is run by each process for
/// itself, as a sweep's workers are.
let private isJoined (parsed: ParseResults<Arguments>) =
    match parsed.GetSubCommand() with
    | Run _
    | Train _
    | Classify _
    | Progressive _
    | Prior _ -> true
    | _ -> false

let private verbosityOf (parsed: ParseResults<Arguments>) = {
    Json = parsed.Contains Json
    Quiet = parsed.Contains Quiet
    Verbose = parsed.Contains Verbose
}

let private executeIn (team: Team) (parsed: ParseResults<Arguments>) =
    let output =
        if team.Leads then
            Output(verbosityOf parsed)
        else
            Output(verbosityOf parsed, team.Name)

    let options = [
        for dir in Option.toList (parsed.TryGetResult Artifacts) -> "ARTIFACTS", dir
        for name in Option.toList (parsed.TryGetResult Device) -> "DEVICE", name
        for dir in Option.toList (parsed.TryGetResult Libtorch) -> "LIBTORCH", dir
        for count in Option.toList (parsed.TryGetResult Threads) -> "THREADS", count
    ]

    let leave outcome =
        match outcome with
        | Ok() -> Joining.leave team outcome 0
        // the leader says what all know
        | Error error when team.HasAgreed && not team.Leads -> Joining.leave team outcome (StageError.exitCode error)
        | Error error -> output.Failure error |> Joining.leave team outcome

    match maxMinutes parsed with
    | Error error -> leave (Error error)
    | Ok maxMinutes ->
        let settings, host = Workplace.settings options (verbosityOf parsed)
        use _ = host
        use interruption = new Interruption(maxMinutes)
        Joining.watch interruption team

        let place = {
            Settings = settings
            Output = output
            Interruption = interruption
            Log = Workplace.logger host
            Standing = Standing.at (Store.at settings.Artifacts) false
            Team = team
        }

        let work () =
            attempt place (fun () ->
                task {
                    match Device.check settings.Device with
                    | Ok() -> return! dispatch place parsed
                    | Error error -> return Error error
                })

        let outcome =
            match leaves parsed with
            | None -> work ()
            | Some left -> Abandonment.race interruption left (Task.Run<Result<unit, StageError>>(work))

        match outcome.GetAwaiter().GetResult() with
        | Error(Abandoned _ as error) ->
            let exitCode = output.Failure error
            Abandonment.leave exitCode
            exitCode
        | outcome -> leave outcome

let private execute argv (parsed: ParseResults<Arguments>) =
    match (if isJoined parsed then Joining.team argv else Ok Team.Alone) with
    | Ok team -> executeIn team parsed
    | Error error -> Output(verbosityOf parsed).Failure error

/// A value that is left empty, as by a variable of the shell that is not set; only a note may be.
let private checkEmpty (argv: string[]) =
    match Array.tryFindIndex ((=) "") argv with
    | Some place when place = 0 || argv[place - 1] <> "--text" ->
        let option =
            if place > 0 && argv[place - 1].StartsWith '-' then
                argv[place - 1]
            else
                $"argument {place + 1}"

        Error(Usage $"{option}: expected a value, got an empty text")
    | _ -> Ok()

[<EntryPoint>]
let main argv =
    let fail problem =
        Output(
            {
                Json = Array.contains "--json" argv
                Quiet = false
                Verbose = false
            }
        )
            .Failure
            problem

    try
        let parsed = parser.ParseCommandLine(argv, raiseOnUsage = true)

        if parsed.Contains Version then
            printfn $"dq {Workplace.versionText}"
            0
        else
            match checkEmpty argv with
            | Ok() -> execute argv parsed
            | Error problem -> fail problem
    with :? ArguParseException as error ->
        if error.ErrorCode = ErrorCode.HelpText then
            printf $"{helpFor argv error.Message}"
            0
        else
            fail (usageError error)
