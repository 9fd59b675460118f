/// The stages of a chain: each phase is trained from the last weights and codebooks of the phase before, and measured
/// at the last size. Then the record of the chain, and the evaluation of the final runs.
module DQ.Pipeline.Progressive.ChainStages

open System
open System.IO
open DQ.Core.Artifacts
open DQ.Core.Autoencoders
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages
open DQ.Pipeline.Data
open DQ.Pipeline.Progressive.Chain
open DQ.Pipeline.Stages.Train
open FsToolkit.ErrorHandling

/// A phase whose steps are known, so that it can be trained.
type ReadyPhase = {
    Variant: Variant
    /// Multiply-adds of one image's forward pass.
    ForwardMultiplyAdds: int64
}

/// A chain whose images, and so the steps of all phases, are known.
type ReadyChain = {
    Name: string
    Phases: ReadyPhase list
    Scratch: ReadyPhase option
    /// Data sets of the phases.
    Datasets: Dataset list
}

/// A phase's run, and the chain's records up to it.
type MeasuredRun = {
    Run: TrainedRun
    Measured: ChainStageRecord list
}

/// A chain that is trained and measured.
type TrainedChain = {
    Folder: string
    Record: ChainRecord
    /// The run of the last phase, and the run from scratch.
    Ends: Artifact<TrainedRun> list
}

/// A finished chain with evaluated final runs.
type EvaluatedChain = {
    Chain: TrainedChain
    Evaluated: Evaluate.EvaluatedRun list
}

/// Optimizer steps of a phase for a number of training images.
let private stepsOf (phase: Phase) (images: int) =
    match phase.Length with
    | Steps steps -> steps
    | Epochs epochs ->
        let perEpoch = float images / float phase.Config.Training.BatchSize
        max 1L (int64 (ceil (epochs * perEpoch)))

/// Multiply-adds of training a phase to its end.
let trainingMultiplyAdds (ready: ReadyPhase) =
    let training = ready.Variant.Config.Training
    Curve.multiplyAdds ready.ForwardMultiplyAdds (training.Steps * int64 training.BatchSize)

/// The largest number of steps, at this batch and image size, within a number of multiply-adds.
let private stepsWithin (budget: float) forward (batch: int) =
    max 1L (int64 (budget / Curve.multiplyAdds forward (int64 batch)))

/// The chain on its phases' data sets. The training from scratch uses the last one. The model is built once, to count
/// its multiply-adds.
let ready (chain: Chain) (datasets: Dataset list) : Result<ReadyChain, StageError> =
    result {
        use model =
            new HierarchicalAutoencoder(chain.Phases.Head.Config.Model.ForImages datasets.Head.Record.Channels)

        let ready phase steps (dataset: Dataset) =
            chain.WithSteps phase steps
            |> Result.map (fun variant -> {
                Variant = variant
                ForwardMultiplyAdds = model.MultiplyAdds(dataset.Record.Height, dataset.Record.Width)
            })

        let! phases =
            List.zip chain.Phases datasets
            |> List.traverseResultM (fun (phase, dataset) ->
                ready phase (stepsOf phase dataset.Record.Train.Count) dataset)

        let! scratch =
            chain.Scratch
            |> Option.traverseResult (fun phase ->
                let budget = phases |> List.sumBy trainingMultiplyAdds
                let forward = (List.last phases).ForwardMultiplyAdds
                ready phase (stepsWithin budget forward phase.Config.Training.BatchSize) (List.last datasets))

        return {
            Name = chain.Name
            Phases = phases
            Scratch = scratch
            Datasets = datasets
        }
    }

/// The packed images of all phases.
let images (chain: Chain) : Stage<unit, Artifact<Dataset> list> =
    Stage.all [ for phase in chain.Phases -> Prepare.reused phase.Config.Data ]

/// The path of a chain's record, and the record of an earlier command.
type private Place = {
    Fingerprint: string
    Folder: string
    Earlier: ChainRecord option
}

let private placeOf (store: Store) (chain: ReadyChain) (runs: string list) =
    let fingerprint = Fingerprint.ofParts [ "chain"; chain.Name; yield! runs ]

    let folder =
        Path.Combine(store.Root, RunLayout.Chains, Store.folderName chain.Name fingerprint)

    let file = Path.Combine(folder, RunLayout.Chain)

    {
        Fingerprint = fingerprint
        Folder = folder
        Earlier =
            if File.Exists file then
                Some(ArtifactJson.Read<ChainRecord> file)
            else
                None
    }

/// A run's part of the earlier command's record, because its points take time to measure.
let private known place (run: TrainedRun) : ChainStageRecord option =
    place.Earlier
    |> Option.bind (fun record ->
        Seq.append record.Stages (Option.toList (Option.ofObj record.Scratch))
        |> Seq.tryFind (fun phase -> phase.Run = run.Record.Id))

let private recordOf (chain: ReadyChain) place (phases: ChainStageRecord list) (scratch: ChainStageRecord option) =
    let last = List.last chain.Datasets
    let loop = (List.last chain.Phases).Variant.Config.Loop

    ChainRecord(
        Name = chain.Name,
        Fingerprint = place.Fingerprint,
        Completed = (phases.Length = chain.Phases.Length && scratch.IsSome = chain.Scratch.IsSome),
        ImageSize = last.Record.Height,
        ValidationImages = min loop.ValidationImages last.Record.Validation.Count,
        Stages = phases,
        Scratch = Option.toObj scratch,
        UpdatedUtc = DateTime.UtcNow
    )

let private isComplete place =
    place.Earlier |> Option.exists _.Completed

/// A phase's run at the last size, after the phases before.
let private measured (context: StageContext) (chain: ReadyChain) (ready: ReadyPhase) before (run: TrainedRun) =
    result {
        let! device = Device.ofName context.Device
        use! images = Dataset.open' (List.last chain.Datasets)
        let spent = Curve.spentIn before

        return Curve.measure context device spent images.Validation.Images ready.Variant ready.ForwardMultiplyAdds run
    }

/// Measures a phase's run at the last size. `before` finds the records of the phases before in the stage's input, and
/// `report` receives all of them. The output keeps the run's name.
let private measure
    (chain: ReadyChain)
    place
    (ready: ReadyPhase)
    (before: 'i -> ChainStageRecord list)
    (report: ChainStageRecord list -> unit)
    : Stage<Artifact<'i> * Artifact<TrainedRun>, MeasuredRun> =
    let output (input: Artifact<'i>, run: Artifact<TrainedRun>) record = {
        Fingerprint = run.Fingerprint
        Value = {
            Run = run.Value
            Measured = before input.Value @ [ record ]
        }
    }

    {
        Name = $"measure {title ready.Variant}"
        Plan =
            fun _ input ->
                Ok {
                    Fingerprint = Fingerprint.item 1 input.Fingerprint
                    Steps = []
                    Finished =
                        input.Finished
                        |> Option.bind (fun { Value = _, run as both } ->
                            known place run.Value |> Option.map (output both))
                }
        Run =
            fun context { Value = input, run as both } ->
                Stage.inBackground context (fun () ->
                    result {
                        let! record =
                            Stage.fromLeader context (fun () ->
                                result {
                                    let! record =
                                        match known place run.Value with
                                        | Some record -> Ok record
                                        | None -> measured context chain ready (before input.Value) run.Value

                                    report (before input.Value @ [ record ])
                                    return record
                                })

                        return output both record
                    })
    }

let private phase chain place ready : Stage<Link<Dataset, MeasuredRun>, MeasuredRun> =
    let trained (link: Link<Dataset, MeasuredRun>) =
        Stage.link link.Input (link.Before |> Option.map (Artifact.map _.Run))

    let before (link: Link<Dataset, MeasuredRun>) =
        match link.Before with
        | Some before -> before.Value.Measured
        | None -> []

    let save phases =
        // a finished record does not change while its runs are looked up again
        if not (isComplete place) then
            Curve.save place.Folder (recordOf chain place phases None)

    Stage.both Stage.input (Train.linked ready.Variant |> Stage.onPart id trained)
    >=> measure chain place ready before save

let private last (chain: ReadyChain) (stage: Stage<Dataset, 'o>) : Stage<Artifact<Dataset> list, 'o> =
    let index = chain.Datasets.Length - 1
    stage |> Stage.onPart (Fingerprint.item index) (List.item index)

let private scratch chain place ready : Stage<Artifact<Dataset> list, MeasuredRun> =
    Stage.both Stage.input (Train.stage ready.Variant)
    >=> measure chain place ready (fun _ -> []) ignore
    |> last chain

/// Writes chain.json for all trained runs.
let private recorded
    chain
    place
    : Stage<Artifact<Artifact<MeasuredRun> list> * Artifact<Artifact<MeasuredRun> list>, TrainedChain> =
    let ends (phases: Artifact<MeasuredRun> list, scratch: Artifact<MeasuredRun> list) =
        List.last phases :: scratch |> List.map (Artifact.map _.Run)

    let endsOf name =
        Fingerprint.All [
            Fingerprint.item 0 name |> Fingerprint.item (chain.Phases.Length - 1)
            for _ in Option.toList chain.Scratch do
                Fingerprint.item 1 name |> Fingerprint.item 0
        ]

    let chained record (input: Artifact<_>) = {
        Fingerprint = endsOf input.Fingerprint
        Value = {
            Folder = place.Folder
            Record = record
            Ends = ends (let phases, scratch = input.Value in phases.Value, scratch.Value)
        }
    }

    {
        Name = $"chain {chain.Name}"
        Plan =
            fun _ input ->
                // only the runs of the record are measured already; others are measured again
                let finished =
                    match place.Earlier, input.Finished with
                    | Some earlier, Some input when earlier.Completed -> Some(chained earlier input)
                    | _ -> None

                Ok {
                    Fingerprint = endsOf input.Fingerprint
                    Steps = [
                        {
                            Stage = $"chain {chain.Name}"
                            Action = if finished.IsSome then Action.Reuse else Action.Make
                            Why =
                                if finished.IsSome then
                                    nonNull (Path.GetFileName place.Folder)
                                else
                                    "points at the last size are measured"
                        }
                    ]
                    Finished = finished
                }
        Run =
            fun context ({ Value = phases, scratch } as input) ->
                Stage.inBackground context (fun () ->
                    let measured = (List.last phases.Value).Value.Measured

                    let fromScratch =
                        scratch.Value |> List.tryHead |> Option.map (fun run -> run.Value.Measured.Head)

                    Stage.fromLeader context (fun () ->
                        let record = recordOf chain place measured fromScratch
                        Curve.save place.Folder record
                        Ok record)
                    |> Result.map (fun record -> chained record input))
    }

/// Evaluates a chain's final runs on whole splits.
let private evaluateEnds (chain: ReadyChain) : Stage<TrainedChain, EvaluatedChain> =
    let ends = List.last chain.Phases :: Option.toList chain.Scratch

    let evaluate (ready: ReadyPhase) =
        Evaluate.stage RunKind.Train (title ready.Variant) ready.Variant.Config.Evaluation

    Stage.both
        Stage.input
        (Stage.each [ for ready in ends -> evaluate ready ]
         |> Stage.onPart id (fun (chain: TrainedChain) -> Stage.together chain.Ends))
    |> Stage.map (fun (chain, evaluated) -> {
        Chain = chain.Value
        Evaluated = evaluated.Value |> List.map _.Value
    })

/// The plan of a chain before its images are packed.
let private unknown (chain: Chain) = [
    for phase in chain.Phases @ Option.toList chain.Scratch do
        {
            Stage = $"train {chain.Name}-{phase.Name}"
            Action = Action.Make
            Why = "steps, and what can be reused, are known once the images are packed"
        }
]

/// The fingerprints of a chain's runs.
let private runsOf (standing: Standing) (chain: ReadyChain) (datasets: Artifact<Artifact<Dataset> list>) =
    let trainings =
        Stage.both
            (Stage.scan [ for ready in chain.Phases -> Train.linked ready.Variant ])
            (Stage.all [
                for ready in Option.toList chain.Scratch -> last chain (Train.stage ready.Variant)
            ])

    trainings.Plan standing (Stage.finished datasets)
    |> Result.map (fun planned -> Fingerprint.parts planned.Fingerprint |> Option.defaultValue [])

/// Makes the finished chain from the phases' images.
let train (chain: Chain) : Stage<Artifact<Dataset> list, EvaluatedChain> =
    Stage.dependent $"chain {chain.Name}" (unknown chain) (fun standing datasets ->
        result {
            let! ready = ready chain (datasets.Value |> List.map _.Value)
            let! runs = runsOf standing ready datasets
            let place = placeOf standing.Store ready runs

            return
                Stage.both
                    (Stage.scan [ for phase' in ready.Phases -> phase ready place phase' ])
                    (Stage.all [ for scratch' in Option.toList ready.Scratch -> scratch ready place scratch' ])
                >=> recorded ready place
                >=> evaluateEnds ready
        })
