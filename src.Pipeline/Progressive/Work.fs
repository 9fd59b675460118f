/// Trains a chain stage by stage, each from the last weights and codebooks of the one before. What was done before is reused.
module DQ.Pipeline.Progressive.Work

open System
open System.IO
open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Pipeline
open DQ.Pipeline.Data
open DQ.Pipeline.Progressive.Chain
open FsToolkit.ErrorHandling

/// A stage that can be trained: its steps are known.
type Ready = {
    Variant: Variant
    /// Fingerprint of its run.
    Fingerprint: string
    /// Of one image's forward pass.
    ForwardMultiplyAdds: int64
}

/// A chain whose images are known, and with them everything its runs depend on.
type Plan = {
    Name: string
    Stages: Ready list
    Scratch: Ready option
    Fingerprint: string
    Folder: string
}

/// A finished chain; the last runs evaluated.
type Outcome = {
    Folder: string
    Record: ChainRecord
    /// The last stage, and the training from scratch.
    Evaluated: Evaluate.EvaluatedRun list
}

/// Optimizer steps of a stage on so many training images.
let private stepsOf (stage: Stage) (images: int) =
    match stage.Length with
    | Steps steps -> steps
    | Epochs epochs ->
        let perEpoch = float images / float stage.Config.Training.BatchSize
        max 1L (int64 (ceil (epochs * perEpoch)))

/// Multiply-adds of training a stage to its end.
let trainingMultiplyAdds (ready: Ready) =
    let training = ready.Variant.Config.Training
    Curve.multiplyAdds ready.ForwardMultiplyAdds (training.Steps * int64 training.BatchSize)

/// Steps at this batch and size that take no more than so many multiply-adds.
let private stepsWithin (budget: float) forward (batch: int) =
    max 1L (int64 (budget / Curve.multiplyAdds forward (int64 batch)))

/// Everything that follows from the chain and its stages' data sets, the last stage's for the training from scratch too.
/// The model is built once, for its multiply-adds.
let plan (store: Store) (chain: Chain) (datasets: (string * DatasetRecord) list) : Result<Plan, StageError> =
    result {
        let _, first = datasets.Head

        use model =
            new HierarchicalAutoencoder(chain.Stages.Head.Config.Model.ForImages first.Channels)

        let ready parent stage steps (fingerprint: string, dataset: DatasetRecord) : Result<Ready, StageError> =
            chain.WithSteps stage steps
            |> Result.map (fun variant -> {
                Variant = variant
                Fingerprint = Train.fingerprintFrom parent variant.Config fingerprint
                ForwardMultiplyAdds = model.MultiplyAdds(dataset.Height, dataset.Width)
            })

        let! stages =
            (Ok [], List.zip chain.Stages datasets)
            ||> List.fold (fun before (stage, (fingerprint, dataset)) ->
                before
                |> Result.bind (fun (before: Ready list) ->
                    let parent = before |> List.tryHead |> Option.map (fun stage -> stage.Fingerprint)

                    ready parent stage (stepsOf stage dataset.Train.Count) (fingerprint, dataset)
                    |> Result.map (fun stage -> stage :: before)))
            |> Result.map List.rev

        let! scratch =
            chain.Scratch
            |> Option.traverseResult (fun stage ->
                let fingerprint, dataset = List.last datasets
                let budget = stages |> List.sumBy trainingMultiplyAdds
                let forward = (List.last stages).ForwardMultiplyAdds
                let steps = stepsWithin budget forward stage.Config.Training.BatchSize
                ready None stage steps (fingerprint, dataset))

        let fingerprint =
            Fingerprint.ofParts [
                "chain"
                chain.Name
                for stage in stages @ Option.toList scratch do
                    stage.Fingerprint
            ]

        return {
            Name = chain.Name
            Stages = stages
            Scratch = scratch
            Fingerprint = fingerprint
            Folder = Path.Combine(store.Root, RunLayout.Chains, Store.folderName chain.Name fingerprint)
        }
    }

/// chain.json as an earlier command left it.
let private earlier (plan: Plan) : ChainRecord option =
    let file = Path.Combine(plan.Folder, RunLayout.Chain)

    if File.Exists file then
        Some(ArtifactJson.Read<ChainRecord> file)
    else
        None

/// The stage as a record has it: its points take a while to measure.
let private known (record: ChainRecord option) (run: Train.TrainedRun) : ChainStageRecord option =
    record
    |> Option.bind (fun record ->
        Seq.append record.Stages (Option.toList (Option.ofObj record.Scratch))
        |> Seq.tryFind (fun stage -> stage.Run = run.Record.Id))

let private trainAndMeasure context earlier spent (images: Dataset) (dataset: Dataset) parent (ready: Ready) =
    task {
        match! Stage.execute context (Train.stageFrom parent ready.Variant) dataset with
        | Error error -> return Error error
        | Ok run ->
            return
                match known earlier run with
                | Some stage -> Ok(run, stage)
                | None ->
                    Curve.measure context spent images.Validation.Images ready.Variant ready.ForwardMultiplyAdds run
                    |> Result.map (fun stage -> run, stage)
    }

let private prepare (context: StageContext) (stages: Stage list) =
    let rec go (stages: Stage list) (before: Dataset list) : Task<Result<Dataset list, StageError>> =
        task {
            match stages with
            | [] -> return Ok(List.rev before)
            | stage :: rest ->
                match! Stage.execute { context with Force = false } Prepare.stage stage.Config.Data with
                | Error error -> return Error error
                | Ok dataset -> return! go rest (dataset :: before)
        }

    go stages []

/// The last stage and the training from scratch, on whole splits.
let private evaluate (context: StageContext) (runs: (Variant * Train.TrainedRun) list) =
    let rec go runs before =
        task {
            match runs with
            | [] -> return Ok(List.rev before)
            | (variant: Variant, run) :: rest ->
                let stage = Evaluate.stage (Train.title variant) variant.Config.Evaluation

                match! Stage.execute context stage run with
                | Error error -> return Error error
                | Ok evaluated -> return! go rest (evaluated :: before)
        }

    go runs []

/// The stages in turn: the last one's run, and all of them measured. `report` hears what is done so far.
let private trainAll context earlier (plan: Plan) (datasets: Dataset list) (report: ChainStageRecord list -> unit) =
    let last = List.last datasets

    let rec go left parent spent (done': ChainStageRecord list) =
        task {
            match left with
            | [] -> return Ok(Option.get parent, done')
            | (ready: Ready, dataset) :: rest ->
                match! trainAndMeasure context earlier spent last dataset parent ready with
                | Error error -> return Error error
                | Ok(run, stage) ->
                    let done' = done' @ [ stage ]
                    report done'
                    return! go rest (Some run) (Curve.after stage spent) done'
        }

    go (List.zip plan.Stages datasets) None Curve.nothing []

let private trainScratch context earlier (plan: Plan) (images: Dataset) =
    task {
        match plan.Scratch with
        | None -> return Ok None
        | Some ready ->
            let! outcome = trainAndMeasure context earlier Curve.nothing images images None ready
            return outcome |> Result.map Some
    }

let private trainPlanned (context: StageContext) (chain: Chain) (plan: Plan) (datasets: Dataset list) =
    let last = List.last datasets
    let loop = (List.last chain.Stages).Config.Loop
    let earlier = earlier plan

    let save (stages: ChainStageRecord list) (scratch: ChainStageRecord option) =
        let record =
            ChainRecord(
                Name = plan.Name,
                Fingerprint = plan.Fingerprint,
                Completed = (stages.Length = plan.Stages.Length && scratch.IsSome = plan.Scratch.IsSome),
                ImageSize = last.Record.Height,
                ValidationImages = min loop.ValidationImages last.Validation.Images.Count,
                Stages = stages,
                Scratch = Option.toObj scratch,
                UpdatedUtc = DateTime.UtcNow
            )

        // a finished one stays as it is while its runs are looked up again
        if record.Completed || not (earlier |> Option.exists _.Completed) then
            Curve.save plan.Folder record

        record

    task {
        match! trainAll context earlier plan datasets (fun stages -> save stages None |> ignore) with
        | Error error -> return Error error
        | Ok(final, stages) ->
            match! trainScratch context earlier plan last with
            | Error error -> return Error error
            | Ok scratch ->
                let record = save stages (Option.map snd scratch)

                let toEvaluate = [
                    (List.last plan.Stages).Variant, final
                    for ready, (run, _) in Option.toList (Option.zip plan.Scratch scratch) do
                        ready.Variant, run
                ]

                let! evaluated = evaluate context toEvaluate

                return
                    evaluated
                    |> Result.map (fun evaluated -> {
                        Folder = plan.Folder
                        Record = record
                        Evaluated = evaluated
                    })
    }

let run (context: StageContext) (chain: Chain) : Task<Result<Outcome, StageError>> =
    task {
        match! prepare context chain.Stages with
        | Error error -> return Error error
        | Ok datasets ->
            let described = [ for dataset in datasets -> dataset.Record.Fingerprint, dataset.Record ]

            match plan context.Store chain described with
            | Error error -> return Error error
            | Ok plan -> return! trainPlanned context chain plan datasets
    }
