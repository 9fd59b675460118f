/// Trains a classifier on a packed data set with classes.
module DQ.Pipeline.Stages.Classify

open System
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Classification
open DQ.Core.Parallel
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Data
open DQ.Pipeline.Stages.Train
open FsToolkit.ErrorHandling
open TorchSharp

/// Raised when the same input gives another output than before.
let private version = 1

/// The trained run whose codes two_stage sees: its folder and record; None in the other modes.
let private codesOf (store: Store) note (config: RunConfig) : Result<(string * RunRecord) option, StageError> =
    match config.Classification.Mode, config.Classification.Autoencoder with
    | "two_stage", NonNull id ->
        result {
            let! folder, record = Store.find store note id

            if record.Kind = RunKind.Classify || record.Status <> RunStatus.Completed then
                return!
                    Error(
                        Data
                            $"{folder}: expected a completed run of an autoencoder (classification.autoencoder), found one of stage {record.Kind.Name()}, {record.Status}"
                    )

            return Some(folder, record)
        }
    | _ -> Ok None

let private parentOf (record: RunRecord) =
    Parent("run", record.Id, Fingerprint.ofParts [ record.Fingerprint; string record.StepsDone ])

let private noClasses folder =
    Data $"{folder}: expected images with classes to classify, found none (data.source)"

/// The labels of a split that has images.
let labelsOf (dataset: OpenDataset) (part: DatasetPart) : Result<int[], StageError> =
    match part.Labels with
    | Some labels -> Ok labels
    | None when part.Images.Count = 0 -> Ok [||]
    | None -> Error(noClasses dataset.Folder)

/// The classifier for this data, or the problem.
let private fitted (config: RunConfig) (dataset: Dataset) (autoencoder: AutoencoderSpec option) =
    let r = dataset.Record

    result {
        if r.ClassNames.Count < 2 then
            return! Error(Data $"{dataset.Folder}: expected images of at least two classes, found {r.ClassNames.Count}")

        do! Train.enough config r

        let! autoencoder =
            match autoencoder with
            | Some spec when spec.ImageChannels <> r.Channels ->
                Error(
                    Data
                        $"{dataset.Folder}: expected images of {spec.ImageChannels} channels for the autoencoder of classification.autoencoder, found {r.Channels}; see data.image_channels"
                )
            | Some spec -> Ok(Some spec)
            | None when config.Classification.Mode = "autoencoder_head" ->
                Train.fitted config dataset |> Result.map Some
            | None -> Ok None

        return Checks.classifier config r.Channels r.ClassNames.Count (Option.toObj autoencoder)
    }

/// Passes the first images of a split with their classes to an evaluator.
let show (evaluator: ClassifierEvaluator) (batches: torch.Tensor seq) (labels: int[]) =
    let mutable first = 0

    for batch in batches do
        use batch = batch
        let count = int batch.shape[0]
        evaluator.Add(batch, ReadOnlySpan(labels, first, count))
        first <- first + count

let private look (config: RunConfig) (validation: DatasetPart) (labels: int[]) (model: Classifier) limit =
    let evaluator = ClassifierEvaluator model
    show evaluator (validation.Images.Batches(config.Evaluation.BatchSize, limit)) labels
    let seen = evaluator.Finish()
    let isFinite = Double.IsFinite seen.CrossEntropyNats

    {
        Loss =
            if isFinite then
                1.0 - seen.Accuracy
            else
                seen.CrossEntropyNats
        CrossEntropyNats = if isFinite then Some seen.CrossEntropyNats else None
    }

let private trainer
    (config: RunConfig)
    (spec: ClassifierSpec)
    device
    (ranks: IRanks)
    from
    labels
    validationLabels
    (dataset: OpenDataset)
    =
    let objective =
        match from with
        | Some file -> ClassifierObjective.OnAutoencoder(file, spec, config.Seed)
        | None -> new ClassifierObjective(spec, config.Seed)

    {
        Parameters = objective.Model.ParameterCount
        MultiplyAdds = None
        FittingBatch = fun _ -> None
        Learner = {
            Session = new TrainingSession(objective, config.Training, config.Seed, device, ranks)
            Criterion = Criterion.Classification
            Labels = Some labels
            // the leader's is that of all
            Validate =
                fun limit ->
                    if ranks.Rank = 0 then
                        look config dataset.Validation validationLabels objective.Model limit
                    else
                        { Loss = nan; CrossEntropyNats = None }
            Sample = fun _ _ -> ()
        }
    }

/// Checks that every split with images has their classes.
let private checkLabels (dataset: Dataset) =
    let unlabelled =
        [ dataset.Record.Train; dataset.Record.Validation ]
        |> List.exists (fun split -> split.Count > 0 && isNull split.Labels)

    if unlabelled then Error(noClasses dataset.Folder) else Ok()

/// Makes a new classifier of a configuration on a device; reports problems before.
let maker
    ranks
    (store: Store)
    (variant: Variant)
    device
    (dataset: Dataset)
    : Result<OpenDataset -> Trainer, StageError> =
    let config = variant.Config

    result {
        do! Device.suits config device
        do! checkLabels dataset
        let! codes = codesOf store ignore config

        let! from =
            codes
            |> Option.traverseResult (fun (folder, _) -> Checkpoints.choose folder "last")

        let autoencoder =
            from
            |> Option.map (fun file ->
                use checkpoint = Checkpoint.Open file
                checkpoint.Spec)

        let! spec = fitted config dataset autoencoder

        let! labels, validationLabels =
            result {
                use! images = Dataset.open' dataset
                let! labels = labelsOf images images.Train
                let! validationLabels = labelsOf images images.Validation
                return labels, validationLabels
            }

        return trainer config spec device ranks from labels validationLabels
    }

let private stageOf (variant: Variant) (origin: Origin) : Stage<Dataset, TrainedRun> =
    let codes note (standing: Standing) =
        codesOf standing.Store note variant.Config

    let ofRun (codes: (string * RunRecord) option) =
        let parents = codes |> Option.toList |> List.map (snd >> parentOf)

        StoredStage.ofRun {
            Name = $"classify {title variant}"
            Description = Train.describe RunKind.Classify variant
            Version = version
            DependsOn =
                fun _ parts -> [
                    Train.settings variant.Config
                    yield! parts
                    yield! parents |> List.map _.Fingerprint
                    yield! Origin.fingerprint origin
                ]
            Parents = fun _ dataset -> Train.datasetParent dataset :: parents @ Origin.parents origin
            Begin =
                fun context device dataset ->
                    result {
                        do! Train.suitsTeam variant.Config context.Team
                        let! make = maker context.Team.Ranks context.Store variant device dataset
                        return Train.work context variant origin make dataset
                    }
            Damage = fun folder record -> Checkpoints.damage folder record.StepsDone
            Read =
                fun dataset folder record ->
                    Ok {
                        Folder = folder
                        Record = record
                        Dataset = dataset
                    }
        }

    {
        Name = $"classify {title variant}"
        Plan =
            fun standing input ->
                codes ignore standing
                |> Result.bind (fun codes -> (ofRun codes).Plan standing input)
        Run =
            fun context input ->
                taskResult {
                    let! codes =
                        Stage.inBackground context (fun () -> codes context.Note context.Standing)

                    return! (ofRun codes).Run context input
                }
    }

/// The runs that it begins with, and whose codes two_stage uses, are looked up once, when the stage is created.
let stage (variant: Variant) : Stage<Dataset, TrainedRun> =
    Train.fromOrigin $"classify {title variant}" variant (stageOf variant)
