/// Estimates densities of a network's features: quantizers trained alone, with maps cut by channels and by pixels.
module DQ.Pipeline.Stages.Density

open System
open System.Collections.Generic
open System.IO
open System.Text.Json.Nodes
open DQ.Core.Artifacts
open DQ.Core.Density
open DQ.Core.Features
open DQ.Core.Images
open DQ.Core.Quantization
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling
open TorchSharp

/// The network whose features are quantized. Another one needs a case here and a `FeatureExtractor`.
type Network =
    /// The encoder of a trained run: its checkpoint's file, a level.
    | Encoder of run: RunRecord * checkpoint: string * level: int
    /// torchvision's VGG-16 in a file, and the size to which images are resized.
    | Vgg of file: string * size: int

/// How densities are estimated.
type DensityConfig = {
    /// Number of training images, the first ones.
    Images: int
    /// Number of images for the estimates, the first ones of test or, if it is missing, of validation.
    TestImages: int
    /// Code counts K, with one table each.
    Codes: IReadOnlyList<int>
    /// Number of trainings of each.
    Seeds: int
    /// Updates of the codes.
    Steps: int
    /// Images per update.
    BatchSize: int
    Quantizer: QuantizerSpec
}

/// The subject of the estimates, without the images.
type DensitySubject = {
    Network: Network
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

/// Images per batch of the network.
let private imagesAtOnce = 16

let private networkParent (hashes: FileHashes) network =
    match network with
    | Encoder(run, _, _) -> Parent("run", run.Id, Fingerprint.ofParts [ run.Fingerprint; string run.StepsDone ])
    | Vgg(file, _) -> Parent("file", nonNull (Path.GetFileName file), hashes.Sha256 file)

let private title network =
    match network with
    | Encoder(run, _, _) when run.Variant = "" -> $"density-{run.Name}"
    | Encoder(run, _, _) -> $"density-{run.Name}-{run.Variant}"
    | Vgg _ -> "density-vgg16"

/// The settings in run.json.
let private settings (input: DensitySubject) =
    let density = Shape.tree (Shape.fields input.Config)

    match input.Network with
    | Encoder(_, checkpoint, level) ->
        density["checkpoint"] <- JsonValue.Create(Path.GetFileName checkpoint)
        density["level"] <- JsonValue.Create level
    | Vgg(_, size) -> density["image_side"] <- JsonValue.Create size

    let tree = JsonObject()
    tree["name"] <- JsonValue.Create(title input.Network)
    tree["data"] <- Shape.tree (Shape.fields input.Data)
    tree["density"] <- density
    tree

let private dependsOn (standing: Standing) (subject: DensitySubject) (parts: string list) =
    let tree = settings subject
    tree.Remove "data" |> ignore

    ConfigTree.canonical tree
    :: (networkParent standing.Hashes subject.Network).Fingerprint
    :: parts

let private extractor (device: torch.Device) network : FeatureExtractor =
    match network with
    | Vgg(file, size) -> Vgg16.Load(file, size, device)
    | Encoder(_, file, level) ->
        use checkpoint = Checkpoint.Open file
        let model = checkpoint.Model()
        TorchSharp.ModuleExtensionMethods.``to`` (model, device) |> ignore
        new EncoderFeatures(model, level)

/// Images for learning and for estimates, and the split of the latter.
let private parts (dataset: OpenDataset) =
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

            let seen = min (int64 total) (int64 maps.Count * int64 imagesAtOnce)
            context.Progress(Report.counted $"{network.Name} of {split}" "images" seen (int64 total))

        torch.cat (maps.ToArray())
    finally
        for map in maps do
            map.Dispose()

/// Rows of every K, pixels before channels as in the paper, with the results of `known`.
let private rows (config: DensityConfig) (known: DensityRow seq) = [
    for codes in config.Codes do
        for slicing in FeatureSlicing.All ->
            slicing,
            known
            |> Seq.tryFind (fun row -> row.Slicing = slicing.Name && row.Codes = codes)
            |> Option.defaultValue (DensityRow(Slicing = slicing.Name, Codes = codes, Runs = [||]))
]

/// Trains the missing quantizers, and keeps density.json and run.json up to date.
let private work (context: StageContext) (subject: DensitySubject) device (dataset: Dataset) (file: RunFile) =
    result {
        let config = subject.Config
        let path = file.Path RunLayout.Density
        use! images = Dataset.open' dataset
        let! train, split, test = parts images
        use network = extractor device subject.Network

        use features = extract context network "train" train config.Images

        let shape = features.shape

        if shape[2] <> shape[3] || shape[2] < 2L then
            return!
                Error(
                    Data
                        $"{dataset.Folder}: expected images whose features are square and larger than one cell, got {shape[2]} × {shape[3]} cells"
                )

        use unseen = extract context network split test config.TestImages

        let training = DensityTraining(config.Quantizer, config.Steps, config.BatchSize)
        let size = int shape[2]

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
                Side = size,
                Width = FeatureSlicing.Width(shape[1], shape[2]),
                Dataset = dataset.Name,
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
            use judged = slicing.Cut unseen
            let codes = table[index].Codes

            for seed in table[index].Runs.Count .. config.Seeds - 1 do
                let estimate =
                    DensityEstimator.Estimate(learned, judged, size, codes, training, int64 seed, context.Cancellation)

                table[index] <-
                    DensityRow(Slicing = slicing.Name, Codes = codes, Runs = [| yield! table[index].Runs; estimate |])

                file.Guarded(fun () -> ArtifactJson.Write(path, record ()))
                let none = Nullable()

                file.Save(_.At(int64 (finished ()), 0L, 0.0, none, none, Nullable(), DateTime.UtcNow))

                context.Progress(
                    Report.counted $"{slicing.Name}, {codes} codes" "seeds" (int64 (seed + 1)) (int64 config.Seeds)
                )
    }

/// Density estimates of a network's features, on a data set.
let stage (subject: DensitySubject) : Stage<Dataset, EstimatedRun> =
    StoredStage.ofRun {
        Name = "density"
        Description = {
            Kind = RunKind.Density
            Title = title subject.Network
            Name = title subject.Network
            Variant = ""
            Seed = 0L
            Config = settings subject
            Steps = int64 (subject.Config.Codes.Count * FeatureSlicing.All.Count * subject.Config.Seeds)
            Notes = []
        }
        Version = version
        DependsOn = fun standing parts -> dependsOn standing subject parts
        Parents = fun standing dataset -> [ Train.datasetParent dataset; networkParent standing.Hashes subject.Network ]
        Begin = fun context device dataset -> Ok(work context subject device dataset)
        Damage = fun _ _ -> None
        Read =
            fun _ folder record ->
                Ok {
                    Folder = folder
                    Record = record
                    Density = ArtifactJson.Read<DensityRecord>(Path.Combine(folder, RunLayout.Density))
                }
    }
