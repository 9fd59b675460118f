/// `dq evaluate`: trained runs on whole splits.
module DQ.Pipeline.Commands.Evaluate

open System.IO
open Argu
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Data
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Runs of RUN: string list
    | [<Unique>] Limit of IMAGES: int
    | [<Unique>] Checkpoint of CHECKPOINT: string
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Runs _ -> "ids of runs, or parts of them that fit only one (dq runs list)."
            | Limit _ -> "at most this many images per split, the first ones."
            | Checkpoint _ -> "last or best."
            | Force -> "evaluate again."

let example = "dq evaluate quickstart-dq"

/// The run, its data and the evaluation its configuration asks for, under what the command line says.
let private prepare (store: Store) (arguments: ParseResults<Arguments>) id =
    result {
        let! folder, record = Store.find store id
        let config = Config.ofTree record.Config

        let evaluation = {
            config.Evaluation with
                Limit = arguments.GetResult(Limit, config.Evaluation.Limit)
                Checkpoint = arguments.GetResult(Checkpoint, config.Evaluation.Checkpoint)
        }

        do!
            match Checks.problems { config with Evaluation = evaluation } with
            | [] -> Ok()
            | problems ->
                Error(
                    Configuration [
                        for key, message in problems ->
                            {
                                File = id
                                Key = key
                                Message = message
                            }
                    ]
                )

        let parent = record.Parents |> Seq.find (fun parent -> parent.Kind = "dataset")
        let! dataset = Dataset.open' (Path.Combine(store.Root, "datasets", parent.Id))

        let run: Train.TrainedRun = {
            Folder = folder
            Record = record
            Dataset = dataset
        }

        return run, evaluation
    }

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    task {
        match
            arguments.GetResult Runs
            |> List.traverseResultM (prepare (Workplace.store place) arguments)
        with
        | Error error -> return Error error
        | Ok prepared ->
            return!
                Command.inContext place (arguments.Contains Force) (fun context ->
                    prepared
                    |> Command.inTurn (fun (run, evaluation) ->
                        Stage.execute context (Evaluate.stage run.Record.Id evaluation) run))
                |> Command.finish (fun runs -> place.Output.Result(Summary.table runs, Summary.data runs))
    }
