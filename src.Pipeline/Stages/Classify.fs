/// From a packed data set with classes to a trained classifier.
module DQ.Pipeline.Classify

open System
open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Classification
open DQ.Core.Training
open DQ.Pipeline.Data
open DQ.Pipeline.Train
open FsToolkit.ErrorHandling
open TorchSharp

/// Raised when the same input gives another output than before.
let private version = 1

/// The trained run whose codes two_stage sees: its folder and record; None in the other modes.
let private codesOf (store: Store) (config: RunConfig) : Result<(string * RunRecord) option, StageError> =
    match config.Classification.Mode, config.Classification.Autoencoder with
    | "two_stage", NonNull id ->
        result {
            let! folder, record = Store.find store id

            if record.Stage = "classify" || record.Status <> RunStatus.Completed then
                return!
                    Error(
                        Data
                            $"{folder}: expected a completed run of an autoencoder (classification.autoencoder), found one of stage {record.Stage}, {record.Status}"
                    )

            return Some(folder, record)
        }
    | _ -> Ok None

let private parentOf (record: RunRecord) =
    Parent("run", record.Id, Fingerprint.ofParts [ record.Fingerprint; string record.StepsDone ])

/// Of a classifier with these settings on the data of this fingerprint.
let fingerprint (store: Store) (config: RunConfig) (dataset: string) : Result<string, StageError> =
    result {
        let! codes = codesOf store config

        return
            Fingerprint.ofParts [
                "classify"
                string version
                Train.settings config
                dataset
                for _, record in Option.toList codes do
                    (parentOf record).Fingerprint
            ]
    }

/// The labels of a split that has images.
let labelsOf (dataset: Dataset) (part: DatasetPart) : Result<int[], StageError> =
    match part.Labels with
    | Some labels -> Ok labels
    | None when part.Images.Count = 0 -> Ok [||]
    | None -> Error(Data $"{dataset.Folder}: expected images with classes to classify, found none (data.source)")

let private wrong (config: RunConfig) key message =
    Error(
        Configuration [
            {
                File = config.Name
                Key = key
                Message = message
            }
        ]
    )

/// The classifier for this data, or what does not fit.
let private fitted (config: RunConfig) (dataset: Dataset) (autoencoder: AutoencoderSpec option) =
    let r = dataset.Record

    result {
        if r.ClassNames.Count < 2 then
            return! Error(Data $"{dataset.Folder}: expected images of at least two classes, found {r.ClassNames.Count}")

        if r.Train.Count < config.Training.BatchSize then
            return!
                wrong
                    config
                    "training.batch_size"
                    $"expected at most the {r.Train.Count} training images there are, got {config.Training.BatchSize}"

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

/// Shows an evaluator the first images of a split with their classes.
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
        CrossEntropyNats =
            if isFinite then
                Nullable seen.CrossEntropyNats
            else
                Nullable()
    }

let private trainer (config: RunConfig) (spec: ClassifierSpec) (dataset: Dataset) device from labels validationLabels =
    let objective =
        match from with
        | Some file -> ClassifierObjective.OnAutoencoder(file, spec, config.Seed)
        | None -> new ClassifierObjective(spec, config.Seed)

    {
        Parameters = objective.Model.ParameterCount
        MultiplyAdds = Nullable()
        FittingBatch = fun _ -> None
        Learner = {
            Session = new TrainingSession(objective, config.Training, config.Seed, device)
            Criterion = Criterion.Classification
            Labels = Some labels
            Validate = look config dataset.Validation validationLabels objective.Model
            Sample = fun _ _ -> ()
        }
    }

let private train (context: StageContext) (variant: Variant) fingerprint (dataset: Dataset) =
    let config = variant.Config

    result {
        // before there is a run: what can't begin leaves none behind
        let! device = Train.device context.Device
        let! labels = labelsOf dataset dataset.Train
        let! validationLabels = labelsOf dataset dataset.Validation
        let! codes = codesOf context.Store config

        let! from =
            codes
            |> Option.traverseResult (fun (folder, _) -> Checkpoints.choose folder "last")

        let autoencoder =
            from
            |> Option.map (fun file ->
                use checkpoint = Checkpoint.Open file
                checkpoint.Spec)

        let! spec = fitted config dataset autoencoder

        let parents = [
            for _, record in Option.toList codes do
                parentOf record
        ]

        return!
            claimAndWork context "classify" parents variant fingerprint dataset device (fun () ->
                trainer config spec dataset device from labels validationLabels)
    }

let stage (store: Store) (variant: Variant) : Stage<Dataset, TrainedRun> = {
    Name = $"classify {title variant}"
    Fingerprint = fun dataset -> fingerprint store variant.Config dataset.Record.Fingerprint
    Find = fun context fingerprint dataset -> Train.finished context (title variant) dataset fingerprint
    Run = fun context fingerprint dataset -> Task.Run(fun () -> train context variant fingerprint dataset)
}
