/// Trains a model on a packed data set, as a run.
module DQ.Pipeline.Stages.Train

open System
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Classification
open DQ.Core.Evaluation
open DQ.Core.Parallel
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling
open TorchSharp

/// A run and its images.
type TrainedRun = {
    Folder: string
    Record: RunRecord
    Dataset: Dataset
} with

    member this.Training = nonNull this.Record.Trained

/// Raised when the same input gives another output than before.
let private version = 1

/// The run's own settings. Those of the data are in the data set's fingerprint; those of the evaluation do not
/// influence training.
let settings (config: RunConfig) =
    let tree = Settings.toTree config

    for key in [ "name"; "data"; "evaluation" ] do
        tree.Remove key |> ignore

    let training = (nonNull tree["training"]).AsObject()

    // the number of kept checkpoints does not change their content, and the origin of the weights is named by its
    // content
    for key in [ "keep"; "start_from"; "continue_from" ] do
        training.Remove key |> ignore

    // later settings that are off are left out, so that older runs are found
    if config.Training.WeightAverage = 0.0 then
        training.Remove "weight_average" |> ignore

    if config.Loop.EarlyStopping = 0L then
        training.Remove "early_stopping" |> ignore

    $"{ConfigTree.canonical tree} flip {config.Data.Flip} shift {config.Data.Shift}"

/// The name of a run in folders and in progress.
let title (variant: Variant) =
    StoredStage.titleOf variant.Config.Name variant.Variant

/// Whether a data set has the images that training and the evaluation after it need.
let enough (config: RunConfig) (r: DatasetRecord) : Result<unit, StageError> =
    Checks.missingImages config {
        Train = r.Train.Count
        Validation = r.Validation.Count
        Test = r.Test.Count
    }
    |> Checks.asError config.Name

/// The model's specification for this data, or the problem.
let fitted (config: RunConfig) (dataset: Dataset) : Result<AutoencoderSpec, StageError> =
    let problem key message =
        Error(
            Configuration [
                {
                    File = config.Name
                    Key = key
                    Message = message
                }
            ]
        )

    let r = dataset.Record

    let wrongSides =
        [ r.Height; r.Width ]
        |> List.choose (fun side ->
            match Checks.paddedSide config.Model config.Pad side with
            | Error message -> Some message
            | Ok _ -> None)

    match wrongSides with
    | message :: _ -> problem "data.image_size" message
    | [] -> enough config r |> Result.map (fun () -> config.Model.ForImages r.Channels)

/// A model to train: the numbers for run.json, and what the loop needs.
type Trainer = {
    /// Trained parameters.
    Parameters: int64
    /// Multiply-adds of one image's forward pass; None if they are not counted.
    MultiplyAdds: int64 option
    /// Images per batch that fit into a number of bytes, if it is known.
    FittingBatch: int64 -> int option
    Learner: Learner
}

/// The content of run.json for a run with this configuration.
let describe kind (variant: Variant) : StoredStage.Description = {
    Kind = kind
    Title = title variant
    Name = variant.Config.Name
    Variant = variant.Variant
    Seed = variant.Config.Seed
    Config = Settings.toTree variant.Config
    Steps = variant.Config.Training.Steps
    Notes = []
}

let datasetParent (dataset: Dataset) =
    Parent("dataset", dataset.Name, dataset.Record.Fingerprint)

/// Why several processes can't train this together, if they can't.
let private teamProblems (config: RunConfig) (ranks: int) = [
    let training = config.Training

    let problem key message = {
        File = config.Name
        Key = key
        Message = $"{message} with {ranks} ranks"
    }

    if training.BatchSize / training.Accumulate < ranks then
        problem
            "training.batch_size"
            $"expected at least {ranks * training.Accumulate}, an image of each micro-batch for each rank, got {training.BatchSize},"

    if Settings.hasContext config && training.PixelsPerStep < training.BatchSize then
        problem
            "training.pixels_per_step"
            $"expected at least batch_size {training.BatchSize}, got {training.PixelsPerStep},"

    if
        Settings.isClassifier config
        && config.Classification.Backbone = ClassifierBackbone.ResNet18
    then
        problem
            "classification.backbone"
            $"expected {ClassifierBackbone.ResidualEncoder} or {ClassifierBackbone.None}, got {ClassifierBackbone.ResNet18}, whose batch normalization would take its means over the images of one rank,"
]

/// Whether the team can train it.
let suitsTeam (config: RunConfig) (team: Team) : Result<unit, StageError> =
    match
        (if team.IsAlone then
             []
         else
             teamProblems config team.Ranks.Count)
    with
    | [] -> Ok()
    | problems -> Error(Configuration problems)

/// Trains in the run's folder, and keeps run.json up to date.
let work
    (context: StageContext)
    (variant: Variant)
    (origin: Origin)
    (trainer: OpenDataset -> Trainer)
    dataset
    (file: RunFile)
    =
    result {
        use! images = Dataset.open' dataset
        let _, available = Memory.ofMachine ()
        let trainer = trainer images
        let session = trainer.Learner.Session
        use _ = session

        file.Save(_.Built(trainer.Parameters, Option.toNullable trainer.MultiplyAdds))

        match! Stage.fromLeader context (fun () -> Origin.fill origin session.Objective) with
        | None -> ()
        | Some line ->
            session.Begin()

            if file.Record.StepsDone = 0L then
                context.Note $"{title variant}: {line}"
                file.Save(_.Noted(line))

        do! Stage.fromLeader context (fun () -> Origin.adopt context (title variant) variant.Config origin file)

        let train () =
            Loop.run {
                Title = title variant
                Config = variant.Config
                Dataset = images
                Context = context
                Learner = trainer.Learner
                Since = Origin.stepsDone origin
                Run = file
            }

        return!
            Stage.attempt context.Stopped train
            |> Result.map ignore<LoopState>
            |> Result.mapError (fun error ->
                match error with
                // the error names a batch size that would fit
                | OutOfMemory(message, None) -> OutOfMemory(message, trainer.FittingBatch available)
                | other -> other)
    }

/// An autoencoder, on images of one size.
let private autoencoder
    (config: RunConfig)
    (spec: AutoencoderSpec)
    (device: torch.Device)
    ranks
    from
    (dataset: OpenDataset)
    =
    let r = dataset.Record
    let training = config.Training

    let objective =
        match from with
        | Some file -> AutoencoderObjective.StartingFrom(file, spec, training.Freeze, config.Seed, training)
        | None -> new AutoencoderObjective(spec, training.Freeze, config.Seed, training)

    let session = new TrainingSession(objective, training, config.Seed, device, ranks)

    let model = objective.Model
    let outputs, parameters = model.Likelihood.OutputChannels, model.ParameterCount
    let validation = dataset.Validation.Images

    {
        Parameters = parameters
        MultiplyAdds = Some(model.MultiplyAdds(r.Height, r.Width))
        FittingBatch = Memory.fittingBatch spec parameters outputs r.Height r.Width
        Learner = {
            Session = session
            Criterion =
                if model.Likelihood.IsDensity || Settings.hasContext config then
                    Criterion.NatsPerDim
                else
                    Criterion.SquaredError
            Labels = None
            Validate =
                fun limit -> {
                    Loss = MeanLoss.Of(model, validation.Batches(config.Evaluation.BatchSize, limit), ranks)
                    CrossEntropyNats = None
                }
            Sample =
                fun count folder ->
                    let chosen = Samples.first count
                    use decoder = new PartialDecoder(model)

                    Samples.draw decoder (CodePart.OfLevels model.Spec) validation chosen
                    |> Samples.write folder validation "validation" chosen session.StepsDone
        }
    }

/// A context head alone, on images of any size.
let private contextHead
    (config: RunConfig)
    (spec: AutoencoderSpec)
    (device: torch.Device)
    ranks
    from
    (dataset: OpenDataset)
    =
    let training = config.Training

    let objective =
        match from with
        | Some file -> ContextObjective.StartingFrom(file, spec.Context, training, config.Seed)
        | None -> new ContextObjective(spec.Context, training, config.Seed)

    let validation = dataset.Validation.Images

    {
        Parameters = objective.Model.ParameterCount
        MultiplyAdds = None
        FittingBatch = fun _ -> None
        Learner = {
            Session = new TrainingSession(objective, training, config.Seed, device, ranks)
            Criterion = Criterion.NatsPerDim
            Labels = None
            Validate =
                fun limit -> {
                    Loss = MeanLoss.Of(objective.Model, validation.Batches(config.Evaluation.BatchSize, limit), ranks)
                    CrossEntropyNats = None
                }
            Sample = fun _ _ -> ()
        }
    }

/// A model of either kind. The same configuration gives the same model.
let private trainer config (spec: AutoencoderSpec) device ranks from =
    if Settings.isContextAlone config then
        contextHead config spec device ranks from
    else
        autoencoder config spec device ranks from

/// Makes a new model of a configuration on a device; reports problems before.
let maker (variant: Variant) device dataset : Result<OpenDataset -> Trainer, StageError> =
    result {
        let! spec = fitted variant.Config dataset
        do! Device.suits variant.Config device
        return trainer variant.Config spec device OneProcess.Instance None
    }

/// A run, which may start from another run. `inputs` finds the data set and that run in the stage's input.
let private stageOf (variant: Variant) origin (inputs: 'i -> Dataset * TrainedRun option) : Stage<'i, TrainedRun> =
    StoredStage.ofRun {
        Name = $"train {title variant}"
        Description = describe RunKind.Train variant
        Version = version
        DependsOn = fun _ parts -> settings variant.Config :: parts @ Origin.fingerprint origin
        Parents =
            fun _ input ->
                let dataset, before = inputs input

                [
                    datasetParent dataset
                    for run in Option.toList before do
                        Parent("run", run.Record.Id, run.Record.Fingerprint)
                    yield! Origin.parents origin
                ]
        Begin =
            fun context device input ->
                result {
                    let dataset, before = inputs input
                    let! spec = fitted variant.Config dataset

                    // the others are given the leader's weights
                    let! from =
                        before
                        |> Option.filter (fun _ -> context.Team.Leads)
                        |> Option.traverseResult (fun run -> Checkpoints.choose run.Folder "last")

                    do! Device.suits variant.Config device
                    do! suitsTeam variant.Config context.Team
                    let trainer = trainer variant.Config spec device context.Team.Ranks from
                    return work context variant origin trainer dataset
                }
        Damage = fun folder record -> Checkpoints.damage folder record.StepsDone
        Read =
            fun input folder record ->
                Ok {
                    Folder = folder
                    Record = record
                    Dataset = fst (inputs input)
                }
    }

/// A stage that depends on the origin of its first weights, which is looked up once, when the stage is created.
let fromOrigin name (variant: Variant) (stage: Origin -> Stage<Dataset, TrainedRun>) : Stage<Dataset, TrainedRun> =
    let find standing = Origin.find standing variant.Config

    {
        Name = name
        Plan = fun standing input -> find standing |> Result.bind (fun origin -> (stage origin).Plan standing input)
        Run =
            fun context input ->
                taskResult {
                    let! origin = Stage.inBackground context (fun () -> find context.Standing)
                    return! (stage origin).Run context input
                }
    }

/// A run that begins with new weights, or with those that the configuration names.
let stage (variant: Variant) : Stage<Dataset, TrainedRun> =
    fromOrigin $"train {title variant}" variant (fun origin -> stageOf variant origin (fun dataset -> dataset, None))

/// A member of a chain, whose first weights and codebooks are the last ones of the run before.
let linked variant : Stage<Link<Dataset, TrainedRun>, TrainedRun> =
    stageOf variant Origin.New (fun link -> link.Input.Value, link.Before |> Option.map _.Value)
