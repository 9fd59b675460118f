/// Trains a prior over a trained autoencoder's codes, and measures what they cost under it.
module DQ.Pipeline.Stages.Prior

open System.Collections.Generic
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Evaluation
open DQ.Core.Priors
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling
open TorchSharp

/// The subject of a prior, without the images.
type PriorSubject = {
    /// Settings, with the autoencoder's model among them.
    Variant: Variant
    /// The run whose codes are learned, and its checkpoint's file.
    Autoencoder: RunRecord
    Checkpoint: string
}

/// A finished prior.
type PriorRun = {
    Folder: string
    Record: RunRecord
    Prior: PriorRecord
}

/// Raised when the same input gives another output than before.
let private version = 1

let private priorFile folder = Path.Combine(folder, RunLayout.Prior)

let private autoencoderParent (record: RunRecord) =
    Parent("run", record.Id, Fingerprint.ofParts [ record.Fingerprint; string record.StepsDone ])

/// The settings on which the output depends: the autoencoder is named by its content, and of the evaluation only those
/// of code rates count.
let private settings (config: RunConfig) =
    let unnamed = {
        config with
            Prior = { config.Prior with Run = "" }
    }

    let evaluation = config.Evaluation

    [
        Train.settings unnamed
        $"""splits {String.concat "," evaluation.Splits} limit {evaluation.Limit} frequency {evaluation.FrequencyImages} checkpoint {evaluation.Checkpoint}"""
    ]

let private modelOf (device: torch.Device) (file: string) =
    use checkpoint = Checkpoint.Open file
    let model = checkpoint.Model()
    TorchSharp.ModuleExtensionMethods.``to`` (model, device) |> ignore
    model

let private trainer (config: RunConfig) (model: HierarchicalAutoencoder) device (dataset: OpenDataset) : Train.Trainer =
    let shape = config.Prior
    let spec = PriorObjective.SpecFor(model, shape.Radius, shape.Embedding, shape.Width)
    let objective = new PriorObjective(model, spec, config.Seed)
    let validation = dataset.Validation.Images

    {
        Parameters = objective.Prior.ParameterCount
        MultiplyAdds = None
        FittingBatch = fun _ -> None
        Learner = {
            Session = new TrainingSession(objective, config.Training, config.Seed, device)
            Criterion = Criterion.Codes
            Labels = None
            Validate =
                fun limit -> {
                    Loss =
                        PriorEvaluator.MeanNats(
                            model,
                            objective.Prior,
                            validation.Batches(config.Evaluation.BatchSize, limit)
                        )
                    CrossEntropyNats = None
                }
            Sample = fun _ _ -> ()
        }
    }

/// The prior of a checkpoint, and the same in integers.
let private load device (file: string) =
    use checkpoint = PriorCheckpoint.Open file
    let network = checkpoint.Network()

    try
        let frozen = PriorFreezer.Freeze(network.Weights())

        TorchSharp.ModuleExtensionMethods.``to`` (network, (device: torch.Device))
        |> ignore

        Ok(network, frozen, checkpoint.Progress.StepsDone)
    with :? System.ArgumentException as error ->
        network.Dispose()
        Error(Numerical $"{file}: {error.Message}")

/// Rates on all splits of the configuration that have images.
let private evaluate (context: StageContext) (subject: PriorSubject) device model (dataset: Dataset) (file: RunFile) =
    result {
        let config = subject.Variant.Config
        let evaluation = config.Evaluation
        let title = Train.title subject.Variant
        let! checkpoint = Checkpoints.choose file.Folder evaluation.Checkpoint
        let! network, frozen, step = load device checkpoint
        use network = network
        use! images = Dataset.open' dataset

        let batches what images limit =
            Evaluate.batches context $"{what} {title}" images evaluation.BatchSize limit

        let frequencies =
            CodeFrequencies.Count(model, batches "count the codes of" images.Train.Images evaluation.FrequencyImages)

        let splits = Dictionary<string, SplitPrior>()

        for name in evaluation.Splits do
            let split =
                Split.tryParse name
                |> Option.defaultWith (fun () -> invalidOp "the configuration was not checked")

            let evaluator = PriorEvaluator(model, network, frozen, frequencies)

            for batch in batches $"evaluate on {name}" (images.Part split).Images evaluation.Limit do
                use batch = batch
                evaluator.Add(batch, context.Cancellation)

            splits[name] <- evaluator.Finish()

        let record =
            PriorRecord(
                Autoencoder = subject.Autoencoder.Id,
                AutoencoderCheckpoint = nonNull (Path.GetFileName subject.Checkpoint),
                Dataset = dataset.Name,
                ImageHeight = dataset.Record.Height,
                ImageWidth = dataset.Record.Width,
                Checkpoint = nonNull (Path.GetFileName checkpoint),
                Step = step,
                Parameters = network.ParameterCount,
                Fingerprint = frozen.Fingerprint,
                FrequencyImages = frequencies.Images,
                Splits = splits
            )

        file.Guarded(fun () -> ArtifactJson.Write(priorFile file.Folder, record))
    }

let private work (context: StageContext) (subject: PriorSubject) device (dataset: Dataset) (file: RunFile) =
    result {
        use model = modelOf device subject.Checkpoint
        let trainer = trainer subject.Variant.Config model device
        do! Train.work context subject.Variant Origin.New trainer dataset file
        do! evaluate context subject device model dataset file
    }

/// Whether the images are of the kind that the autoencoder knows; reported before anything is trained.
let private fits (subject: PriorSubject) (dataset: Dataset) =
    result {
        let! spec = Train.fitted subject.Variant.Config dataset
        use checkpoint = Checkpoint.Open subject.Checkpoint
        let channels = checkpoint.Spec.ImageChannels

        if spec.ImageChannels <> channels then
            return!
                Error(
                    Data
                        $"{dataset.Folder}: expected images of {channels} channels for {subject.Autoencoder.Id}, found {spec.ImageChannels}; see data.image_channels"
                )
    }

/// A prior over the codes of an autoencoder, on a data set.
let stage (subject: PriorSubject) : Stage<Dataset, PriorRun> =
    StoredStage.ofRun {
        Name = $"prior {Train.title subject.Variant}"
        Description = Train.describe RunKind.Prior subject.Variant
        Version = version
        DependsOn =
            fun _ parts ->
                settings subject.Variant.Config
                @ (autoencoderParent subject.Autoencoder).Fingerprint :: parts
        Parents = fun _ dataset -> [ Train.datasetParent dataset; autoencoderParent subject.Autoencoder ]
        Begin =
            fun context device dataset ->
                fits subject dataset
                |> Result.map (fun () -> work context subject device dataset)
        Damage =
            fun folder record ->
                if File.Exists(priorFile folder) then
                    Checkpoints.damage folder record.StepsDone
                else
                    Some $"{RunLayout.Prior} is not there"
        Read =
            fun _ folder record ->
                Ok {
                    Folder = folder
                    Record = record
                    Prior = ArtifactJson.Read<PriorRecord>(priorFile folder)
                }
    }

/// The finished prior in a run's folder, with its integers.
type OpenPrior = { Run: PriorRun; Frozen: FrozenPrior }

/// Opens a finished prior for coding or drawing.
let open' (folder: string) (record: RunRecord) : Result<OpenPrior, StageError> =
    result {
        if record.Kind <> RunKind.Prior || not (File.Exists(priorFile folder)) then
            return!
                Error(
                    Data
                        $"{folder}: expected a completed run of dq prior, found one of dq {record.Kind.Name()}, {Store.status folder record}"
                )

        let prior = ArtifactJson.Read<PriorRecord>(priorFile folder)
        let file = Path.Combine(folder, RunLayout.Checkpoints, prior.Checkpoint)
        let! network, frozen, _ = load (torch.device "cpu") file
        network.Dispose()

        return {
            Run = {
                Folder = folder
                Record = record
                Prior = prior
            }
            Frozen = frozen
        }
    }

/// Refuses a prior that was learned on another model's codes.
let ofModel (prior: OpenPrior) (model: HierarchicalAutoencoder) : Result<unit, StageError> =
    let expected = prior.Frozen.Spec.Model
    let fingerprint = DQ.Core.Codes.ModelFingerprint.Of model

    if fingerprint = expected then
        Ok()
    else
        Error(
            Data
                $"{prior.Run.Record.Id}: is a prior over the codes of model {expected[..11]}…, not of {fingerprint[..11]}…"
        )
