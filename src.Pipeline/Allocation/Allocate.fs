/// Computes allocations by every method from a network's layer and its intervals, and measures them on other images.
module DQ.Pipeline.Allocation.Allocate

open System
open System.Diagnostics
open System.IO
open System.Text
open DQ.Core
open DQ.Core.Artifacts
open DQ.Core.BitAllocation
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages
open DQ.Pipeline.Data
open DQ.Pipeline.Allocation.CutNetwork
open FsToolkit.ErrorHandling
open TorchSharp

/// The images, and the file of the interval table.
type AllocationInput = Artifact<Dataset> * Artifact<string>

type AllocatedRun = {
    Folder: string
    Record: RunRecord
    Allocation: AllocationRecord
}

/// Raised when the same input gives another output than before.
let private version = 2

/// The points, then the small case, then single images.
let private steps (config: AllocationConfig) =
    config.AverageBits.Count * config.Methods.Count
    + (if config.SmallCaseChannels > 0 then 1 else 0)
    + config.OnlineImages

/// Everything that is needed to compute and measure allocations.
type private Bench = {
    Context: StageContext
    Config: AllocationConfig
    Seed: int64
    Table: IntervalTable
    Intervals: IntervalTensors
    Back: Func<torch.Tensor, torch.Tensor>
    Calibration: torch.Tensor
    Statistics: ChannelStatistics
    Settings: GreedySettings
    Error: OutputError
}

/// Sum of the bits of all channels.
let private budget channels (average: float) =
    int (Math.Round(average * float channels))

let private report (bench: Bench) title total bits =
    bench.Context.Progress(Report.counted title "bits" (int64 bits) (int64 total))

let private timed (work: unit -> 'a) =
    let watch = Stopwatch.StartNew()
    let result = work ()
    result, watch.Elapsed.TotalSeconds

let private find (bench: Bench) (error: OutputError) statistics name start budget : FoundAllocation =
    if name = AllocationMethods.Greedy then
        AllocationMethods.FindGreedy(
            error,
            statistics,
            bench.Settings,
            start,
            budget,
            report bench $"{name}, {float budget / float error.Channels:G3} bits" budget,
            bench.Context.Cancellation
        )
    else
        AllocationMethods.Find(name, error, bench.Table, budget, bench.Seed, bench.Context.Cancellation)

/// A method at an average. The greedy method continues from the bits given for the largest smaller average.
let private point (bench: Bench) (measured: MeasuredFeatures) (known: AllocationPoint seq) average name =
    let start =
        known
        |> Seq.filter (fun point -> point.Method = name && point.AverageBits < average)
        |> Seq.sortBy _.AverageBits
        |> Seq.tryLast
        |> Option.bind (fun point -> Option.ofObj point.GivenBits)
        |> Option.toObj

    let allocated, seconds =
        timed (fun () -> find bench bench.Error bench.Statistics name start (budget bench.Error.Channels average))

    let point =
        AllocationPoint(
            Method = name,
            AverageBits = average,
            Bits = allocated.Bits,
            CalibrationOutputSquaredError = allocated.OutputSquaredError,
            Test = measured.Measure(allocated.Bits, bench.Intervals, bench.Calibration),
            Evaluations = allocated.Evaluations,
            Seconds = seconds
        )

    match allocated with
    | :? GreedyFound as greedy -> point.Moved(greedy.GivenBits, greedy.GivenOutputSquaredError, greedy.Moved)
    | _ -> point

/// The few channels with the largest deviation, with the others unquantized: compares all methods with the true
/// optimum.
let private smallCase (bench: Bench) =
    let deviations = bench.Statistics.Deviations |> Array.map (fun row -> row[0])

    let channels =
        [| 0 .. deviations.Length - 1 |]
        |> Array.sortByDescending (fun channel -> deviations[channel])
        |> Array.truncate bench.Config.SmallCaseChannels

    use error =
        new OutputError(bench.Calibration, bench.Back, bench.Intervals, channels)

    let budget = budget channels.Length bench.Config.SmallCaseBits

    let struct (best, least, tried) =
        ExhaustiveSearch.Run(error, budget, bench.Context.Cancellation)

    SmallCase(
        channels,
        budget,
        tried,
        best,
        least,
        [|
            for name in bench.Config.Methods do
                let allocated = find bench error bench.Statistics name null budget

                SmallCaseMethod(
                    name,
                    allocated.Bits,
                    allocated.OutputSquaredError,
                    (if least > 0.0 then
                         100.0 * (allocated.OutputSquaredError / least - 1.0)
                     else
                         0.0)
                )
        |]
    )

/// One image with its own allocation, compared with the calibration images' allocation and with equal bits.
let private online (bench: Bench) (test: TestFeatures) table place =
    use own = test.Features.narrow (0, int64 place, 1L)
    use error = new OutputError(own, bench.Back, bench.Intervals)
    let channels = error.Channels
    let budget = budget channels bench.Config.OnlineBits

    let allocated, seconds =
        timed (fun () ->
            find bench error (ChannelStatistics.Of(own, bench.Intervals)) AllocationMethods.Greedy null budget)

    ImageAllocation(
        test.Places[place],
        bench.Config.OnlineBits,
        allocated.Bits,
        allocated.OutputSquaredError,
        error.Of(table: int[]),
        error.Of(BaselineAllocations.Equal(channels, budget)),
        SideInformation.AllocationBits channels,
        int64 budget * own.shape[2] * own.shape[3],
        seconds
    )

/// The greedy allocation of the calibration images at the average of single images.
let private tableFor (bench: Bench) (points: AllocationPoint seq) =
    points
    |> Seq.tryFind (fun point ->
        point.Method = AllocationMethods.Greedy
        && point.AverageBits = bench.Config.OnlineBits)
    |> Option.map (fun point -> Seq.toArray point.Bits)
    |> Option.defaultWith (fun () ->
        (find
            bench
            bench.Error
            bench.Statistics
            AllocationMethods.Greedy
            null
            (budget bench.Error.Channels bench.Config.OnlineBits))
            .Bits)

/// Computes the missing parts, and keeps allocation.json, the curve and run.json up to date.
let private work (context: StageContext) (subject: Subject) device (dataset: Dataset) intervalFile (file: RunFile) =
    result {
        let config = subject.Config
        use! images = Dataset.open' dataset
        use! cut = CutNetwork.openCut subject device
        use! calibration = CutNetwork.calibration context subject images cut
        let channels = int calibration.shape[1]

        let target =
            CutNetwork.intervalSubject subject (CutNetwork.parent context.Standing.Hashes subject.Source)

        let table = IntervalTable.Read(intervalFile, target, channels)
        let! test = CutNetwork.test context subject images cut
        use features = test.Features
        use intervals = new IntervalTensors(CutNetwork.quantizer config, table, device)

        // with other classes there is no accuracy
        let labels =
            use first = features.narrow (0, 0L, 1L)
            use outputs = cut.Back.Invoke first

            if outputs.shape[outputs.shape.Length - 1] = int64 dataset.Record.ClassNames.Count then
                Option.toObj test.Labels
            else
                null

        use measured = new MeasuredFeatures(features, labels, cut.Back, config.BatchSize)
        use error = new OutputError(calibration, cut.Back, intervals)

        let bench = {
            Context = context
            Config = config
            Seed = subject.Seed
            Table = table
            Intervals = intervals
            Back = cut.Back
            Calibration = calibration
            Statistics = ChannelStatistics.Of(calibration, intervals)
            Settings = GreedySettings(config.Alpha, config.Beta, config.Reserve, config.MoveRounds)
            Error = error
        }

        let path = file.Path RunLayout.Allocation

        let mutable record =
            if File.Exists path then
                ArtifactJson.Read<AllocationRecord> path
            else
                AllocationRecord(
                    Network = target.Network,
                    Layer = config.Layer,
                    Channels = channels,
                    Height = int calibration.shape[2],
                    Width = int calibration.shape[3],
                    Quantizer = target.Quantizer,
                    Dataset = dataset.Name,
                    CalibrationImages = int calibration.shape[0],
                    TestSplit = test.Split,
                    TestImages = int features.shape[0],
                    Greedy = bench.Settings,
                    OutputPower = measured.OutputPower,
                    Accuracy = measured.Accuracy,
                    Points = [||],
                    Images = [||]
                )

        let keep (change: AllocationRecord -> AllocationRecord) =
            record <- change record
            let curve = Encoding.UTF8.GetBytes(record.Csv())

            let finished =
                record.Points.Count
                + record.Images.Count
                + (if isNull record.SmallCase then 0 else 1)

            file.Guarded(fun () ->
                ArtifactJson.Write(path, record)

                AtomicFile.Write(file.Path RunLayout.AllocationCurve, (fun stream -> stream.Write(ReadOnlySpan curve))))

            let none = Nullable()

            file.Save(_.At(int64 finished, 0L, 0.0, none, none, Nullable(), DateTime.UtcNow))

        for average in Seq.sort config.AverageBits do
            for name in config.Methods do
                if
                    record.Points
                    |> Seq.forall (fun point -> point.Method <> name || point.AverageBits <> average)
                then
                    let made = point bench measured record.Points average name
                    keep _.With(made)

        if config.SmallCaseChannels > 0 && isNull record.SmallCase then
            let made = smallCase bench
            keep _.With(made)

        let wanted = min config.OnlineImages test.Places.Length

        if record.Images.Count < wanted then
            let table = tableFor bench record.Points

            for place in record.Images.Count .. wanted - 1 do
                let made = online bench test table place
                keep _.With(made)
    }

/// Allocations for a network's channels, on a data set, with a table of intervals.
let stage (subject: Subject) : Stage<AllocationInput, AllocatedRun> =
    let description =
        AllocationRun.describe RunKind.Allocate subject.Name subject [] (steps subject.Config)

    let network (standing: Standing) =
        CutNetwork.parent standing.Hashes subject.Source

    StoredStage.ofRun {
        Name = "allocate"
        Description = description
        Version = version
        DependsOn = fun standing parts -> AllocationRun.dependsOn description (network standing) parts
        Parents =
            fun standing (dataset, table) -> [
                network standing
                Train.datasetParent dataset.Value
                Parent("file", nonNull (Path.GetFileName table.Value), standing.Hashes.Sha256 table.Value)
            ]
        Begin = fun context device (dataset, table) -> Ok(work context subject device dataset.Value table.Value)
        Damage = fun _ _ -> None
        Read =
            fun _ folder record ->
                Ok {
                    Folder = folder
                    Record = record
                    Allocation = ArtifactJson.Read<AllocationRecord>(Path.Combine(folder, RunLayout.Allocation))
                }
    }
