/// From a packed data set to a trained run.
module DQ.Pipeline.Train

open System
open System.IO
open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Evaluation
open DQ.Core.Training
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling
open TorchSharp

/// A finished run and what it was trained on.
type TrainedRun = {
    Folder: string
    Record: RunRecord
    Dataset: Dataset
}

/// Raised when the same input gives another output than before.
let private version = 1

/// The run's own settings: those of the data are in the data set's fingerprint, those of the evaluation don't matter.
let settings (config: RunConfig) =
    let tree = Settings.toTree config

    for key in [ "name"; "data"; "evaluation" ] do
        tree.Remove key |> ignore

    // how many checkpoints lie there changes nothing in them
    (nonNull tree["training"]).AsObject().Remove "keep" |> ignore

    $"{ConfigTree.canonical tree} flip {config.Data.Flip} shift {config.Data.Shift}"

/// Of a run with these settings on the data of this fingerprint, which starts from the run of another.
let fingerprintFrom (parent: string option) (config: RunConfig) (dataset: string) =
    Fingerprint.ofParts [
        "train"
        string version
        settings config
        dataset
        yield! Option.toList parent
    ]

/// Of one that starts from nothing.
let fingerprint = fingerprintFrom None

/// What a run is called in folders and in progress.
let title (variant: Variant) =
    if variant.Variant = "" then
        variant.Config.Name
    else
        $"{variant.Config.Name}-{variant.Variant}"

/// The device of this name, once libtorch is loaded.
let device (name: string) : Result<torch.Device, StageError> =
    try
        let device = torch.device name

        if device.``type`` = DeviceType.CUDA && not (torch.cuda.is_available ()) then
            Error(Usage $"--device {name}: no CUDA device can be used here; see dq doctor")
        else
            Ok device
    with
    | :? ArgumentException
    | :? FormatException
    | :? OverflowException -> Error(Usage $"--device {name}: expected cpu, cuda or cuda:N")

/// The model's specification for this data, or what does not fit.
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
    | [] when r.Train.Count < config.Training.BatchSize ->
        problem
            "training.batch_size"
            $"expected at most the {r.Train.Count} training images there are, got {config.Training.BatchSize}"
    | [] -> Ok(config.Model.ForImages r.Channels)

/// A model to train: what run.json says of it before it begins, and what the loop needs.
type Trainer = {
    /// Trained parameters.
    Parameters: int64
    /// Of one image's forward pass; null where they are not counted.
    MultiplyAdds: Nullable<int64>
    /// Images per batch that fit in so many bytes, where that is known.
    FittingBatch: int64 -> int option
    Learner: Learner
}

let private describe
    (context: StageContext)
    stage
    (parents: Parent list)
    (variant: Variant)
    (dataset: Dataset)
    fingerprint
    id
    : RunRecord =
    let config = variant.Config
    let now = DateTime.UtcNow

    RunRecord(
        Id = id,
        Name = config.Name,
        Variant = variant.Variant,
        Stage = stage,
        Status = RunStatus.Running,
        Fingerprint = fingerprint,
        Seed = config.Seed,
        Config = Settings.toTree config,
        Parents = [|
            Parent("dataset", nonNull (Path.GetFileName dataset.Folder), dataset.Record.Fingerprint)
            yield! parents
        |],
        Software = context.Software,
        Device = context.Device,
        Threads = Environment.ProcessorCount,
        StartedUtc = now,
        UpdatedUtc = now,
        Steps = config.Training.Steps
    )

/// Trains in a folder that is locked for it, and keeps run.json true while doing so.
let private work
    (context: StageContext)
    title
    (config: RunConfig)
    (device: torch.Device)
    (trainer: unit -> Trainer)
    (dataset: Dataset)
    folder
    held
    (begun: RunRecord)
    =
    let file = RunFile(folder, held, begun)
    let _, available = Memory.ofMachine ()

    /// What goes wrong as an error; for a bug too, run.json says that the run failed.
    let guarded (action: unit -> Result<'a, StageError>) =
        try
            action ()
        with error ->
            match Stage.expected context.Stopped error with
            | Some failure -> Error failure
            | None ->
                file.TryEnd(RunStatus.Failed, Stage.firstLine error)
                reraise ()

    /// With the batch that would fit, where memory ran out.
    let advised trainer error =
        match error with
        | OutOfMemory(message, None) -> OutOfMemory(message, trainer.FittingBatch available)
        | other -> other

    let train trainer =
        file.Save(
            _.Begun(
                context.Software,
                device.ToString(),
                torch.get_num_threads (),
                trainer.Parameters,
                trainer.MultiplyAdds,
                DateTime.UtcNow
            )
        )
        |> ignore

        Loop.run {
            Folder = folder
            Title = title
            Config = config
            Dataset = dataset
            Context = context
            Learner = trainer.Learner
            Held = held
            Record = fun state -> file.Save(Criterion.reached trainer.Learner.Criterion state) |> ignore
        }

    let outcome =
        result {
            let! trainer = guarded (fun () -> Ok(trainer ()))
            return! guarded (fun () -> train trainer) |> Result.mapError (advised trainer)
        }

    match outcome with
    | Ok(_: LoopState) ->
        Ok {
            Folder = folder
            Record = file.Save(_.Ended(RunStatus.Completed, null, DateTime.UtcNow))
            Dataset = dataset
        }
    | Error error ->
        file.TryEnd error
        Error error

/// The finished run of this fingerprint, if there is one.
let finished (context: StageContext) title (dataset: Dataset) fingerprint =
    Store.ofFingerprint context.Store title fingerprint
    |> Result.map (
        List.tryFind (fun (_, record) -> record.Status = RunStatus.Completed)
        >> Option.map (fun (run: StoredRun, record) -> {
            Folder = run.Folder
            Record = record
            Dataset = dataset
        })
    )

/// Finds the run of a fingerprint or begins it, and trains it. `trainer` is asked for once there is a run to train.
let claimAndWork
    (context: StageContext)
    (stage: string)
    parents
    (variant: Variant)
    fingerprint
    (dataset: Dataset)
    (device: torch.Device)
    (trainer: unit -> Trainer)
    =
    result {
        let title = title variant
        let describe = describe context stage parents variant dataset fingerprint

        match! Store.claim context.Store title fingerprint context.Force describe with
        | Finished(folder, record) ->
            return {
                Folder = folder
                Record = record
                Dataset = dataset
            }
        | Resumed(folder, record, held)
        | Fresh(folder, record, held) ->
            use _ = held
            return! work context title variant.Config device trainer dataset folder held record
    }

/// An autoencoder, on images of one size.
let private autoencoder (config: RunConfig) (spec: AutoencoderSpec) (dataset: Dataset) (device: torch.Device) from =
    let r = dataset.Record
    let training = config.Training

    let objective =
        match from with
        | Some file -> AutoencoderObjective.StartingFrom(file, spec, training.Freeze, config.Seed)
        | None -> new AutoencoderObjective(spec, training.Freeze, config.Seed)

    let session = new TrainingSession(objective, training, config.Seed, device)
    let model = objective.Model
    let outputs, parameters = model.Likelihood.OutputChannels, model.ParameterCount
    let validation = dataset.Validation.Images

    {
        Parameters = parameters
        MultiplyAdds = Nullable(model.MultiplyAdds(r.Height, r.Width))
        FittingBatch = Memory.fittingBatch spec parameters outputs r.Height r.Width
        Learner = {
            Session = session
            Criterion =
                if model.Likelihood.IsDensity then
                    Criterion.NatsPerDim
                else
                    Criterion.SquaredError
            Labels = None
            Validate =
                fun limit -> {
                    Loss = MeanLoss.Of(model, validation.Batches(config.Evaluation.BatchSize, limit))
                    CrossEntropyNats = Nullable()
                }
            Sample =
                fun count folder ->
                    let chosen = Samples.first count
                    use decoder = new PartialDecoder(model)

                    Samples.draw decoder (CodePart.OfLevels model.Spec) validation chosen
                    |> Samples.write folder validation "validation" chosen session.StepsDone
        }
    }

let private trainAutoencoder (context: StageContext) parent (variant: Variant) fingerprint (dataset: Dataset) =
    result {
        // before there is a run: what can't begin leaves none behind
        let! device = device context.Device
        let! spec = fitted variant.Config dataset

        let! from =
            parent
            |> Option.traverseResult (fun (parent: TrainedRun) -> Checkpoints.choose parent.Folder "last")

        let parents = [
            for parent in Option.toList parent -> Parent("run", parent.Record.Id, parent.Record.Fingerprint)
        ]

        return!
            claimAndWork context "train" parents variant fingerprint dataset device (fun () ->
                autoencoder variant.Config spec dataset device from)
    }

/// A run whose first weights and codebooks are the last ones of another.
let stageFrom (parent: TrainedRun option) (variant: Variant) : Stage<Dataset, TrainedRun> = {
    Name = $"train {title variant}"
    Fingerprint =
        fun dataset ->
            let parent = parent |> Option.map _.Record.Fingerprint
            Ok(fingerprintFrom parent variant.Config dataset.Record.Fingerprint)
    Find = fun context fingerprint dataset -> finished context (title variant) dataset fingerprint
    Run =
        fun context fingerprint dataset ->
            Task.Run(fun () -> trainAutoencoder context parent variant fingerprint dataset)
}

let stage = stageFrom None
