/// `dq evaluate`: trained runs on whole splits.
module DQ.Pipeline.Commands.Evaluate

open Argu
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Runs of RUN: string list
    | [<Unique>] Limit of IMAGES: int
    | [<Unique>] Checkpoint of CHECKPOINT: string
    | Set of ASSIGNMENT: string
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Runs _ -> "runs: their names, ids or parts of them, latest or @2 (dq runs list)."
            | Limit _ -> "at most this many images per split, the first ones."
            | Checkpoint _ -> "last or best."
            | Set _ ->
                "KEY=VALUE over the run's data or evaluation, such as data.path=DIR for other images; may be given several times."
            | Force -> "evaluate again."

let example =
    "dq evaluate quickstart-dq\n"
    + "  dq evaluate imported --set data.source=cifar10 --set data.path=cifar-10-batches-bin --limit 1000"

/// What the command line says of data and evaluation.
let private assignments (arguments: ParseResults<Arguments>) =
    let texts = [
        for limit in Option.toList (arguments.TryGetResult Limit) -> $"evaluation.limit={limit}"
        for checkpoint in Option.toList (arguments.TryGetResult Checkpoint) -> $"evaluation.checkpoint={checkpoint}"
        yield! arguments.GetResults Set
    ]

    match
        texts
        |> List.tryFind (fun text -> not (text.StartsWith "data." || text.StartsWith "evaluation."))
    with
    | Some text -> Error(Usage $"--set {text}: expected a key of data or evaluation: the rest is what was trained")
    | None -> Config.assignments texts |> Result.mapError Configuration

/// What is to be evaluated on what.
type private Plan = {
    Folder: string
    Record: RunRecord
    /// None where the images are those of `Data`.
    Own: Parent option
    Data: DataConfig
    Evaluation: EvaluationConfig
}

let private plan (place: Workplace) (arguments: ParseResults<Arguments>) id =
    result {
        let! folder, record = Command.runNamed place id

        if not (List.contains record.Kind [ RunKind.Train; RunKind.Import; RunKind.Classify ]) then
            return! Error(Data $"{record.Id}: expected a trained run, found one of dq {record.Kind.Name()}")

        if record.Status <> RunStatus.Completed then
            place.Output.Note
                $"{record.Id}: {Store.status folder record} at step {record.StepsDone} of {record.Steps}: evaluated as it is"

        let! sets = assignments arguments
        let own = Command.ownDataset record sets

        let data = (Config.ofTree record.Config).Data

        if
            own.IsNone
            && sets.IsEmpty
            && data.Path = null
            && data.Source <> SourceKind.DeadLeaves
        then
            return!
                Error(
                    Usage $"{id}: imported, it has no images of its own: --set data.source=cifar10 --set data.path=DIR"
                )

        let recorded: ConfigTree.Layer = {
            File = id
            Prefix = ""
            Tree = record.Config
        }

        let check =
            if own.IsSome then
                Checks.problemsBesideData
            else
                Checks.problems

        let! variants = Config.ofLayersChecked check id (recorded :: sets)
        let config = (List.exactlyOne variants).Config

        return {
            Folder = folder
            Record = record
            Own = own
            Data = config.Data
            Evaluation = config.Evaluation
        }
    }

let private pipeline (plan: Plan) =
    Pipelines.evaluation plan.Folder plan.Record plan.Own plan.Data plan.Evaluation

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    taskResult {
        let! plans = arguments.GetResult Runs |> List.traverseResultM (plan place arguments)

        return!
            Command.inContext place (arguments.Contains Force) (fun context ->
                plans |> List.traverseTaskResult (pipeline >> Stage.run context))
    }
    |> Command.finish (fun runs -> place.Output.Result(Summary.table runs, Summary.data runs))
