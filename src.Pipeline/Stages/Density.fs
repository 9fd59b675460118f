/// From a network's features of images to density estimates: quantizers trained alone, cut by channels and by pixels.
module DQ.Pipeline.Density

open System
open System.Collections.Generic
open System.IO
open System.Text.Json.Nodes
open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Core.Density
open DQ.Core.Features
open DQ.Core.Images
open DQ.Core.Quantization
open DQ.Core.Training
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling
open TorchSharp

/// The network whose features are quantized. Another one needs a case here and a `FeatureExtractor`.
type Network =
    /// The encoder of a trained run: its checkpoint's file, a level.
    | Encoder of run: RunRecord * checkpoint: string * level: int
    /// torchvision's VGG-16 in a file, images brought to a side.
    | Vgg of file: string * side: int

/// How densities are estimated.
type DensityConfig = {
    /// Training images, the first ones.
    Images: int
    /// Images to estimate on, the first ones of test or, without one, of validation.
    TestImages: int
    /// Codes K, one table each.
    Codes: IReadOnlyList<int>
    /// Times that each is trained.
    Seeds: int
    /// Updates of the codes.
    Steps: int
    /// Images per update.
    BatchSize: int
    Quantizer: QuantizerSpec
}

type DensityInput = {
    Network: Network
    Dataset: Dataset
    Data: DataConfig
    Config: DensityConfig
}

type EstimatedRun = {
    Folder: string
    Record: RunRecord
    Density: DensityRecord
}

/// Raised when the same input gives another output than before.
let private version = 1

/// Images that a network sees at once.
let private imagesAtOnce = 16

let private networkParent network =
    match network with
    | Encoder(run, _, _) -> Parent("run", run.Id, Fingerprint.ofParts [ run.Fingerprint; string run.StepsDone ])
    | Vgg(file, _) -> Parent("file", nonNull (Path.GetFileName file), DQ.Core.Sha256.OfFile(file))

let private title network =
    match network with
    | Encoder(run, _, _) when run.Variant = "" -> $"density-{run.Name}"
    | Encoder(run, _, _) -> $"density-{run.Name}-{run.Variant}"
    | Vgg _ -> "density-vgg16"

/// What run.json says of the settings.
let private settings (input: DensityInput) =
    let density = Shape.tree (Shape.fields input.Config)

    match input.Network with
    | Encoder(_, checkpoint, level) ->
        density["checkpoint"] <- JsonValue.Create(Path.GetFileName checkpoint)
        density["level"] <- JsonValue.Create level
    | Vgg(_, side) -> density["image_side"] <- JsonValue.Create side

    let tree = JsonObject()
    tree["name"] <- JsonValue.Create(title input.Network)
    tree["data"] <- Shape.tree (Shape.fields input.Data)
    tree["density"] <- density
    tree

let private fingerprint (input: DensityInput) =
    let tree = settings input
    tree.Remove "data" |> ignore

    Fingerprint.ofParts [
        "density"
        string version
        ConfigTree.canonical tree
        (networkParent input.Network).Fingerprint
        input.Dataset.Record.Fingerprint
    ]

let private extractor (device: torch.Device) network : FeatureExtractor =
    match network with
    | Vgg(file, side) -> Vgg16.Load(file, side, device)
    | Encoder(_, file, level) ->
        use checkpoint = Checkpoint.Open file
        let model = checkpoint.Model()
        TorchSharp.ModuleExtensionMethods.``to`` (model, device) |> ignore
        new EncoderFeatures(model, level)

/// Images to learn from and to estimate on, and the latter's split.
let private parts (dataset: Dataset) =
    if dataset.Train.Images.Count = 0 then
        Error(Data $"{dataset.Folder}: expected training images, found none")
    elif dataset.Test.Images.Count > 0 then
        Ok(dataset.Train.Images, "test", dataset.Test.Images)
    elif dataset.Validation.Images.Count > 0 then
        Ok(dataset.Train.Images, "validation", dataset.Validation.Images)
    else
        Error(Data $"{dataset.Folder}: expected test or validation images to estimate on, found none")

/// Maps (N, C, H, H) of the first images.
let private extract (context: StageContext) (network: FeatureExtractor) split (images: PackedImages) limit =
    let total = min limit images.Count
    let maps = ResizeArray<torch.Tensor>()

    try
        for batch in images.Batches(imagesAtOnce, total) do
            use batch = batch
            context.Cancellation.ThrowIfCancellationRequested()
            maps.Add((network.Extract batch).DetachFromDisposeScope())

            context.Progress {
                Title = $"{network.Name} of {split}"
                Done = min (int64 total) (int64 maps.Count * int64 imagesAtOnce)
                Total = int64 total
                Unit = "images"
                Loss = None
                ImagesPerSecond = None
            }

        torch.cat (maps.ToArray())
    finally
        for map in maps do
            map.Dispose()

/// Rows of every K, pixels before channels as published, with the runs that `known` has.
let private rows (config: DensityConfig) (known: DensityRow seq) = [
    for codes in config.Codes do
        for slicing in FeatureSlicing.All ->
            slicing,
            known
            |> Seq.tryFind (fun row -> row.Slicing = slicing.Name && row.Codes = codes)
            |> Option.defaultValue (DensityRow(Slicing = slicing.Name, Codes = codes, Runs = [||]))
]

/// Trains what is missing, and keeps density.json and run.json true while doing so.
let private work (context: StageContext) (input: DensityInput) device folder (held: RunLock) (file: RunFile) =
    result {
        let config = input.Config
        let path = Path.Combine(folder, RunLayout.Density)
        let! train, split, test = parts input.Dataset
        use network = extractor device input.Network

        use features = extract context network "train" train config.Images

        let shape = features.shape

        if shape[2] <> shape[3] || shape[2] < 2L then
            return!
                Error(
                    Data
                        $"{input.Dataset.Folder}: expected images whose features are square and larger than one cell, got {shape[2]} × {shape[3]} cells"
                )

        use unseen = extract context network split test config.TestImages

        let training = DensityTraining(config.Quantizer, config.Steps, config.BatchSize)
        let side = int shape[2]

        let known: DensityRow seq =
            if File.Exists path then
                (ArtifactJson.Read<DensityRecord> path).Rows
            else
                []

        let table = rows config known |> List.map snd |> Array.ofList

        let record () =
            DensityRecord(
                Features = network.Name,
                Channels = int shape[1],
                Side = side,
                Width = FeatureSlicing.Width(shape[1], shape[2]),
                Dataset = nonNull (Path.GetFileName input.Dataset.Folder),
                TrainImages = int features.shape[0],
                TestSplit = split,
                TestImages = int unseen.shape[0],
                Training = training.Record(),
                Seeds = config.Seeds,
                Rows = table
            )

        let finished () = table |> Array.sumBy _.Runs.Count

        for index, (slicing, _) in Seq.indexed (rows config []) do
            use learned = slicing.Cut features
            use asked = slicing.Cut unseen
            let codes = table[index].Codes

            for seed in table[index].Runs.Count .. config.Seeds - 1 do
                let estimate =
                    DensityEstimator.Estimate(learned, asked, side, codes, training, int64 seed, context.Cancellation)

                table[index] <-
                    DensityRow(Slicing = slicing.Name, Codes = codes, Runs = [| yield! table[index].Runs; estimate |])

                held.Guarded(fun () -> ArtifactJson.Write(path, record ()))
                let none = Nullable()

                file.Save(_.At(int64 (finished ()), 0L, 0.0, none, none, Nullable(), DateTime.UtcNow))
                |> ignore

                context.Progress {
                    Title = $"{slicing.Name}, {codes} codes"
                    Done = int64 (seed + 1)
                    Total = int64 config.Seeds
                    Unit = "seeds"
                    Loss = None
                    ImagesPerSecond = None
                }

        return record ()
    }

let private describe (context: StageContext) (input: DensityInput) fingerprint id : RunRecord =
    let now = DateTime.UtcNow

    RunRecord(
        Id = id,
        Name = title input.Network,
        Stage = "density",
        Status = RunStatus.Running,
        Fingerprint = fingerprint,
        Seed = 0L,
        Config = settings input,
        Parents = [|
            Parent("dataset", nonNull (Path.GetFileName input.Dataset.Folder), input.Dataset.Record.Fingerprint)
            networkParent input.Network
        |],
        Software = context.Software,
        Device = context.Device,
        Threads = Environment.ProcessorCount,
        StartedUtc = now,
        UpdatedUtc = now,
        Steps = int64 (input.Config.Codes.Count * FeatureSlicing.All.Count * input.Config.Seeds)
    )

let private estimate (context: StageContext) (input: DensityInput) device folder held (begun: RunRecord) =
    let file = RunFile(folder, held, begun)

    let outcome =
        try
            work context input device folder held file
        with error ->
            match Stage.expected context.Stopped error with
            | Some failure -> Error failure
            | None ->
                file.TryEnd(RunStatus.Failed, Stage.firstLine error)
                reraise ()

    match outcome with
    | Ok density ->
        Ok {
            Folder = folder
            Record = file.Save(_.Ended(RunStatus.Completed, null, DateTime.UtcNow))
            Density = density
        }
    | Error error ->
        file.TryEnd error
        Error error

let private found folder record = {
    Folder = folder
    Record = record
    Density = ArtifactJson.Read<DensityRecord>(Path.Combine(folder, RunLayout.Density))
}

let private claimAndEstimate (context: StageContext) fingerprint (input: DensityInput) =
    result {
        let! device = Train.device context.Device

        match!
            Store.claim
                context.Store
                (title input.Network)
                fingerprint
                context.Force
                (describe context input fingerprint)
        with
        | Finished(folder, record) -> return found folder record
        | Resumed(folder, record, held)
        | Fresh(folder, record, held) ->
            use _ = held
            return! estimate context input device folder held record
    }

let stage: Stage<DensityInput, EstimatedRun> = {
    Name = "density"
    Fingerprint = fun input -> Ok(fingerprint input)
    Find =
        fun context fingerprint input ->
            Store.ofFingerprint context.Store (title input.Network) fingerprint
            |> Result.map (
                List.tryFind (fun (_, record) -> record.Status = RunStatus.Completed)
                >> Option.map (fun (run, record) -> found run.Folder record)
            )
    Run = fun context fingerprint input -> Task.Run(fun () -> claimAndEstimate context fingerprint input)
}
