/// `dq allocate`: how many bits each channel of a network's features gets, and what that costs in its output.
module DQ.Pipeline.Commands.Allocate

open System
open System.IO
open System.Threading.Tasks
open Argu
open DQ.Core.Artifacts
open DQ.Core.BitAllocation
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Host
open DQ.Pipeline.Data
open DQ.Pipeline.Allocation
open DQ.Pipeline.Allocation.Allocate
open DQ.Pipeline.Allocation.CutNetwork
open DQ.Pipeline.Numbers
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | [<Unique>] Table
    | [<Unique>] Apply
    | [<Unique>] Intervals of FILE: string
    | [<Unique>] Max_Minutes of MINUTES: float
    | Set of ASSIGNMENT: string
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ -> "configuration file with an allocation object (JSON with comments)."
            | Table -> "only make the interval table."
            | Apply -> "only allocate and measure, with an existing interval table."
            | Intervals _ -> "allocate with this interval table; it must be for the same network, layer and quantizer."
            | Max_Minutes _ -> "save and stop after this many minutes, with exit code 0; the same command continues."
            | Set _ ->
                "KEY=VALUE, which replaces a value of the configuration, such as allocation.average_bits=[4]; may be given several times."
            | Force -> "do finished work again."

let example =
    "dq allocate configs/allocate-cifar10.json --set data.path=cifar-10-batches-bin\n"
    + "  dq allocate configs/allocate-cifar10.json --set data.path=cifar-10-batches-bin --table"

/// What to do of the two stages.
type private Wanted =
    | Both
    | OnlyTable
    | WithTableOf of file: string option

let private wanted (arguments: ParseResults<Arguments>) =
    match arguments.Contains Table, arguments.Contains Apply, arguments.TryGetResult Intervals with
    | true, true, _ -> Error(Usage "expected --table or --apply: without either, both are done")
    | true, false, Some _ -> Error(Usage "--intervals: is for allocating with a table, not for making one")
    | true, false, None -> Ok OnlyTable
    | false, _, Some file when not (File.Exists file) ->
        Error(Data $"{file}: expected an interval table, found no file")
    | false, _, Some file -> Ok(WithTableOf(Some file))
    | false, true, None -> Ok(WithTableOf None)
    | false, false, None -> Ok Both

let private dataProblems (config: RunConfig) = [
    for problem in DataConfig.problems "" config.Data -> problem.Key, problem.Message
]

/// The network, and its own data set where it has one.
let private source (place: Workplace) (config: AllocationConfig) (layers: ConfigTree.Layer list) =
    match config.Run, config.Weights with
    | NonNull id, _ ->
        result {
            let! folder, record = Command.runNamed place id

            if record.Kind <> RunKind.Classify || record.Status <> RunStatus.Completed then
                return!
                    Error(
                        Data
                            $"{folder}: expected a completed run of a classifier (allocation.run), found one of stage {record.Kind.Name()}, {record.Status}"
                    )

            let which =
                (DQ.Pipeline.Configuration.Config.ofTree record.Config).Evaluation.Checkpoint

            let! checkpoint = Checkpoints.choose folder which
            return Trained(record, checkpoint), Command.ownDataset record layers
        }
    | Null, NonNull file when layers |> List.exists _.Tree.ContainsKey("data") ->
        Ok(Torchvision(config.Network, file), None)
    | Null, NonNull _ ->
        Error(Usage "a torchvision network: say which images: --set data.source=cifar10 --set data.path=DIR")
    | Null, Null -> invalidOp "the configuration was checked"

/// What a run's configuration says of its images: under what is said here, so that data.path alone means the same kind of images.
let private imagesOf (source: Source) : ConfigTree.Layer list =
    match source with
    | Torchvision _ -> []
    | Trained(record, _) ->
        let tree = Text.Json.Nodes.JsonObject()

        tree["data"] <-
            record.Config["data"]
            |> Option.ofObj
            |> Option.map _.DeepClone()
            |> Option.toObj

        [
            {
                File = record.Id
                Prefix = ""
                Tree = tree
            }
        ]

/// The subject but for its images, which are packed later.
let private read (place: Workplace) file assignments =
    result {
        let! layers = DQ.Pipeline.Configuration.Config.layers file assignments
        let! allocation = AllocationConfig.read file layers
        let! source, own = source place allocation layers
        // its own images are packed already, wherever they came from
        let check = if own.IsSome then (fun _ -> []) else dataProblems

        let! variants =
            DQ.Pipeline.Configuration.Config.ofLayersChecked check file (imagesOf source @ layers)

        match variants with
        | [ { Config = config } ] ->
            return
                own,
                {
                    Name = config.Name
                    Source = source
                    Data = config.Data
                    Config = allocation
                    Seed = config.Seed
                    ConfigFile = file
                }
        | _ -> return! Error(Usage $"{file}: expected no variants beside allocation")
    }

type private Outcome =
    | TableMade of file: string
    | Allocated of AllocatedRun

let private pipeline wanted own subject : Stage<unit, Outcome> =
    let allocated table =
        Pipelines.allocation own subject table |> Stage.map Allocated

    match wanted with
    | OnlyTable -> Pipelines.intervals own subject |> Stage.map (_.Table >> TableMade)
    | WithTableOf(Some file) -> allocated (Intervals.ofFile file)
    | WithTableOf None -> allocated (Intervals.made subject)
    | Both -> allocated (Intervals.table subject)

/// Rows of averages, columns of methods.
let private grid (record: AllocationRecord) (cell: AllocationPoint -> string) =
    let methods = record.Points |> Seq.map _.Method |> Seq.distinct |> Seq.toList

    Table.render Table.Right [
        "bits" :: methods
        for average in record.Points |> Seq.map _.AverageBits |> Seq.distinct |> Seq.sort do
            number "G4" average
            :: [
                for name in methods ->
                    record.Points
                    |> Seq.tryFind (fun point -> point.Method = name && point.AverageBits = average)
                    |> Option.map cell
                    |> Option.defaultValue "–"
            ]
    ]

let private percent value = number "+0.0;-0.0" value + " %"

let private optionalPercent = orMissing "–" percent

let private text (run: AllocatedRun) =
    let record = run.Allocation

    let accuracy =
        if record.Accuracy.HasValue then
            let share = number "P1" record.Accuracy.Value
            $", accuracy {share}"
        else
            ""

    String.concat "" [
        $"{record.Network}, behind {record.Layer} ({record.Channels}, {record.Height}, {record.Width}), {record.Quantizer}; "
        $"allocated on {record.CalibrationImages} images, measured on {record.TestImages} of {record.TestSplit}{accuracy}\n\n"
        "squared error of the output\n"
        grid record (fun point -> number "E3" point.Test.OutputSquaredError)
        "\ntop-1 agreement with the unquantized network\n"
        grid record (fun point -> number "P1" point.Test.Top1Agreement)
        "\nentropy-coded bits per value\n"
        grid record (fun point -> number "F3" point.Test.EntropyCodedBitsPerValue)
        "\nseconds to allocate\n"
        grid record (fun point -> number "F1" point.Seconds)
        "\nrate against equal bits at the same output error (BD-rate)\n"
        Table.render Table.Right [
            [ ""; "average bits"; "entropy-coded bits" ]
            for saving in record.Savings do
                [
                    saving.Method
                    optionalPercent saving.AverageBitsPercent
                    optionalPercent saving.EntropyCodedBitsPercent
                ]
        ]

        match record.SmallCase with
        | null -> ()
        | small ->
            let least = number "E3" small.OptimalOutputSquaredError

            $"\n{small.Channels.Count} channels, {small.Budget} bits, all {small.Tried} allocations tried: least error {least}; above it: "

            small.Methods
            |> Seq.map (fun row -> $"{row.Method} {percent row.GapPercent}")
            |> String.concat ", "

            "\n"

        if record.Images.Count > 0 then
            "\nimages with an allocation of their own: squared error of the output\n"

            Table.render Table.Right [
                [
                    "image"
                    "bits"
                    "own"
                    "calibration images'"
                    "equal"
                    "side information, bits"
                    "features, bits"
                    "seconds"
                ]
                for image in record.Images do
                    [
                        string image.Image
                        number "G4" image.AverageBits
                        number "E3" image.OutputSquaredError
                        number "E3" image.TableOutputSquaredError
                        number "E3" image.EqualOutputSquaredError
                        string image.SideInformationBits
                        string image.FeatureBits
                        number "F1" image.Seconds
                    ]
            ]
    ]

/// What an allocation with a table of its own would do.
let plan (place: Workplace) file assignments : Result<unit, StageError> =
    read place file assignments
    |> Result.bind (fun (own, subject) -> PlannedSteps.show place (pipeline Both own subject))

let run (place: Workplace) (arguments: ParseResults<Arguments>) : Task<Result<unit, StageError>> =
    taskResult {
        let! wanted = wanted arguments

        let! own, subject =
            read place (arguments.GetResult Config) (arguments.GetResults Set)

        return!
            Command.inContext place (arguments.Contains Force) (fun context ->
                Stage.run context (pipeline wanted own subject))
    }
    |> Command.finish (fun outcome ->
        match outcome with
        | TableMade file -> place.Output.Result(file + "\n", {| Intervals = file |})
        | Allocated run ->
            place.Output.Result(
                text run + "\n" + Path.Combine(run.Folder, RunLayout.Allocation) + "\n",
                {|
                    Run = run.Record.Id
                    Folder = run.Folder
                    Allocation = run.Allocation
                |}
            ))
