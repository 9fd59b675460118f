/// `dq progressive`: one model trained at growing image sizes, and beside it, where asked for, training at the last size alone.
module DQ.Pipeline.Commands.Progressive

open System
open System.Globalization
open System.IO
open System.Threading.Tasks
open Argu
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Data
open DQ.Pipeline.Progressive
open DQ.Pipeline.Progressive.Chain
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | Set of ASSIGNMENT: string
    | Plan
    | [<Unique>] Max_Minutes of MINUTES: float
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ -> "configuration file with a progressive object (JSON with comments)."
            | Set _ ->
                "KEY=VALUE over the configuration, such as progressive.stages.large.steps=500; may be given several times."
            | Plan -> "only say what would be done and what it would cost."
            | Max_Minutes _ -> "save and stop after so many minutes, exit code 0; the same command goes on from there."
            | Force -> "train all stages anew."

let example =
    "dq progressive configs/tiny-imagenet-progressive.json --set data.path=tiny-imagenet-200"

let private scientific (value: float) =
    value.ToString("0.00e+00", CultureInfo.InvariantCulture)

let private number (format: string) (value: float) =
    value.ToString(format, CultureInfo.InvariantCulture)

let private length (stage: Stage) =
    match stage.Length with
    | Steps steps -> $"{steps} steps"
    | Epochs epochs -> $"""{number "G4" epochs} epochs"""

/// Every stage's data set that is packed already; None where one is not.
let private packed (store: Store) (chain: Chain) : Result<(string * DatasetRecord) list option, StageError> =
    chain.Stages
    |> List.traverseResultM (fun stage ->
        result {
            let! fingerprint = Ingest.fingerprintInputs stage.Config.Data
            let folder = Prepare.folder store stage.Config.Data fingerprint

            if Directory.Exists folder then
                let! record = Dataset.readRecord folder
                return Some(fingerprint, record)
            else
                return None
        })
    |> Result.map (fun found ->
        if List.forall Option.isSome found then
            Some(List.choose id found)
        else
            None)

/// What would happen to a stage's run: its status and id.
let private standing (store: Store) (ready: Work.Ready) =
    Store.ofFingerprint store (Train.title ready.Variant) ready.Fingerprint
    |> Result.map (fun runs ->
        match runs with
        | (_, record) :: _ when record.Status = RunStatus.Completed -> "reused", record.Id
        | (run, record) :: _ ->
            "continued", $"{record.Id}, {Store.status run.Folder record} at step {record.StepsDone} of {record.Steps}"
        | [] -> "new", "")

let private plan (place: Workplace) (chain: Chain) =
    result {
        let store = Workplace.store place
        let! _ = Workplace.loadTorch place
        let! datasets = packed store chain

        match datasets with
        | None ->
            let rows = [
                for stage in chain.Stages ->
                    [
                        stage.Name
                        $"{stage.Config.Data.ImageSize}×{stage.Config.Data.ImageSize}"
                        length stage
                    ]
            ]

            let text =
                Table.render Table.Left rows
                + "costs, and what can be reused, are known once the images are packed\n"

            place.Output.Result(
                text,
                {|
                    Stages = [
                        for stage in chain.Stages ->
                            {|
                                Stage = stage.Name
                                Length = length stage
                            |}
                    ]
                |}
            )
        | Some datasets ->
            let! plan = Work.plan store chain datasets

            let! stages =
                plan.Stages @ Option.toList plan.Scratch
                |> List.traverseResultM (fun ready -> standing store ready |> Result.map (fun found -> ready, found))

            let rows = [
                for ready, (action, why) in stages do
                    let config = ready.Variant.Config

                    [
                        ready.Variant.Variant
                        $"{config.Data.ImageSize}×{config.Data.ImageSize}"
                        $"{config.Training.Steps} × {config.Training.BatchSize} images"
                        $"{scientific (Work.trainingMultiplyAdds ready)} multiply-adds"
                        action
                        why
                    ]
            ]

            let data = {|
                Folder = plan.Folder
                Stages = [
                    for ready, (action, why) in stages ->
                        {|
                            Stage = ready.Variant.Variant
                            ImageSize = ready.Variant.Config.Data.ImageSize
                            Steps = ready.Variant.Config.Training.Steps
                            BatchSize = ready.Variant.Config.Training.BatchSize
                            ForwardMultiplyAddsPerImage = ready.ForwardMultiplyAdds
                            TrainingMultiplyAdds = Work.trainingMultiplyAdds ready
                            Action = action
                            Why = why
                        |}
                ]
            |}

            place.Output.Result(Table.render Table.Left rows, data)
    }

/// A table of the stages with the last point of each.
let private stages (chain: ChainRecord) =
    let last (stage: ChainStageRecord) =
        match Seq.tryLast stage.Points with
        | None -> [ "–"; "–" ]
        | Some point when point.ReconstructionNatsPerDim.HasValue -> [
            number "F4" point.ReconstructionNatsPerDim.Value
            number "F4" point.ReconstructionBitsPerDim.Value
          ]
        | Some point when point.ReconstructionSquaredError.HasValue -> [
            $"""squared error {number "F5" point.ReconstructionSquaredError.Value}"""
            "–"
          ]
        | Some _ -> [ "not finite"; "–" ]

    Table.render Table.Right [
        [
            ""
            "size"
            "steps"
            "images"
            "multiply-adds"
            "training, s"
            $"nats/dim at {chain.ImageSize}"
            "bits/dim"
        ]
        for stage in Seq.append chain.Stages (Option.toList (Option.ofObj chain.Scratch)) do
            [
                stage.Name
                string stage.ImageSize
                string stage.Steps
                string (stage.Steps * int64 stage.BatchSize)
                scientific stage.TrainingMultiplyAdds
                number "F0" stage.TrainingSeconds
                yield! last stage
            ]
    ]

let private show (place: Workplace) (outcome: Work.Outcome) =
    let curve = Path.Combine(outcome.Folder, RunLayout.ChainCurve)

    place.Output.Result(
        stages outcome.Record
        + $"\n(reconstruction on the first {outcome.Record.ValidationImages} validation images; both curves: {curve})\n\n"
        + Summary.table outcome.Evaluated
        + "\n"
        + Summary.places outcome.Evaluated,
        {|
            Folder = outcome.Folder
            Chain = outcome.Record
            Runs = (Summary.data outcome.Evaluated).Runs
        |}
    )

let run (place: Workplace) (arguments: ParseResults<Arguments>) : Task<Result<unit, StageError>> =
    task {
        match Chain.load (arguments.GetResult Config) (arguments.GetResults Set) with
        | Error error -> return Error error
        | Ok chain when arguments.Contains Plan -> return plan place chain
        | Ok chain ->
            return!
                Command.inContext place (arguments.Contains Force) (fun context -> Work.run context chain)
                |> Command.finish (show place)
    }
