/// From weights of elsewhere to a run that commands accept like a trained one.
module DQ.Pipeline.Import

open System
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Core.Published
open DQ.Core.Training
open FsToolkit.ErrorHandling

/// Raised when the same input gives another output than before.
let private version = 1

let private fingerprint (variant: Variant) (sha256: string) =
    Fingerprint.ofParts [
        "import"
        string version
        variant.Variant
        Config.canonical variant.Config
        sha256
    ]

let private describe
    (context: StageContext)
    (variant: Variant)
    (file: string)
    sha256
    notes
    steps
    parameters
    id
    : RunRecord =
    let now = DateTime.UtcNow

    RunRecord(
        Id = id,
        Name = variant.Config.Name,
        Variant = variant.Variant,
        Stage = "import",
        Status = RunStatus.Running,
        Fingerprint = fingerprint variant sha256,
        Seed = variant.Config.Seed,
        Config = Settings.toTree variant.Config,
        Parents = [| Parent("file", nonNull (Path.GetFileName file), sha256) |],
        Notes = List.toArray notes,
        Software = context.Software,
        Device = "cpu",
        Threads = Environment.ProcessorCount,
        StartedUtc = now,
        UpdatedUtc = now,
        Parameters = Nullable parameters,
        Steps = steps,
        StepsDone = steps
    )

/// The checkpoint, with the optimizer's state where the file has it.
let private write folder (seed: int64) (source: WeightsSource) (model: HierarchicalAutoencoder) =
    use optimizer = new AdamOptimizer(model.named_parameters ())

    let moments: AdamOptimizer | null =
        if source.Fill(optimizer, model) then optimizer else null

    let progress =
        TrainingProgress(seed, source.Steps, 0L, true, 1.0, optimizer.Updates)

    Checkpoints.add folder (fun path -> Checkpoint.Write(path, model, moments, progress)) {
        LoopState.start model.Spec.Levels model.Spec.Codebooks with
            Step = source.Steps
    }

/// The run of these weights under this configuration: made, or found where it was made before.
let run (context: StageContext) (variant: Variant) (file: string) (source: WeightsSource) (notes: string list) =
    result {
        let spec = variant.Config.Model.ForImages(Checks.knownChannels variant.Config.Data)
        use model = new HierarchicalAutoencoder(spec)
        source.Fill model
        let sha256 = DQ.Core.Sha256.OfFile file

        let describe =
            describe context variant file sha256 notes source.Steps model.ParameterCount

        match! Store.claim context.Store (Train.title variant) (fingerprint variant sha256) context.Force describe with
        | Finished(folder, record) ->
            context.Note $"import {Train.title variant}: done before, reused"
            return folder, record
        | Resumed(folder, record, held)
        | Fresh(folder, record, held) ->
            use _ = held
            write folder variant.Config.Seed source model
            let record = record.Ended(RunStatus.Completed, null, DateTime.UtcNow)
            Store.save folder record
            return folder, record
    }
