/// What the commands that train models take: a configuration, or a run whose training is to go on.
namespace DQ.Pipeline.Commands

open System.IO
open System.Text.Json.Nodes
open Argu
open DQ.Core.Artifacts
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Data
open DQ.Pipeline.Storage
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type ModelArguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | Set of ASSIGNMENT: string
    | Variant of NAME: string
    | [<Unique>] Steps of N: int64
    | [<Unique>] Keep of N: int
    | [<Unique>] Max_Minutes of MINUTES: float
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ ->
                "configuration file (JSON with comments); or, with --steps, a run whose training is to go on, as a new run."
            | Set _ ->
                "KEY=VALUE, which replaces a value of the configuration, such as training.learning_rate=1e-4; may be given several times."
            | Variant _ -> "only this variant of the configuration."
            | Steps _ ->
                "training steps (training.steps); for a run, those it has done are among them, and the schedule is that of all of them."
            | Keep _ ->
                "how many of the last checkpoints to keep (training.keep); the best by validation is always kept."
            | Max_Minutes _ -> "save and stop after this many minutes, with exit code 0; the same command continues."
            | Force -> "do finished work again."

/// A model to train: its settings, and where its images come from.
type ModelRequest = {
    Variant: Variant
    Images: Stage<unit, Dataset>
}

module ModelRequest =
    /// Of a configuration's variant.
    let ofVariant (variant: Variant) = {
        Variant = variant
        Images = Pipelines.packed variant.Config.Data
    }

    /// What can't change while training goes on: the model, and what its random choices are a function of.
    let private isFixed (assignment: string) =
        [ "model."; "seed="; "classification."; "variants."; "name=" ]
        |> List.exists assignment.StartsWith

    /// A run with settings over its own, to be trained on to this step.
    let continuing (place: Workplace) id (steps: int64 option) (assignments: string list) =
        result {
            let! _, record = Command.runNamed place id

            let! steps =
                match record.Trained, steps with
                | null, _ ->
                    Error(
                        Data $"{record.Id}: expected a run that trained a model, found one of dq {record.Kind.Name()}"
                    )
                | _ when record.Kind = RunKind.Prior ->
                    Error(Usage $"{record.Id} is a prior: dq prior trains one, with training.steps")
                | _, Some steps -> Ok steps
                | _, None ->
                    Error(
                        Usage
                            $"{record.Id} is a run: say with --steps to which step its training is to go on, above {record.StepsDone}"
                    )

            match assignments |> List.tryFind isFixed with
            | Some text ->
                return!
                    Error(
                        Usage
                            $"--set {text}: a run goes on with its own; expected a key of training, data or evaluation"
                    )
            | None -> ()

            let training = JsonObject()
            training["continue_from"] <- JsonValue.Create record.Id
            training["start_from"] <- null
            let over = JsonObject()
            over["training"] <- training

            let layers: ConfigTree.Layer list = [
                for tree in [ record.Config; over ] ->
                    {
                        File = record.Id
                        Prefix = ""
                        Tree = tree
                    }
            ]

            let! sets =
                assignments @ [ $"training.steps={steps}" ]
                |> Config.assignments
                |> Result.mapError Configuration

            let own = Command.ownDataset record sets

            let check =
                if own.IsSome then
                    Checks.problemsBesideData
                else
                    Checks.problems

            let! variants = Config.ofLayersChecked check record.Id (layers @ sets)

            let variant = {
                List.exactlyOne variants with
                    Variant = record.Variant
            }

            return {
                Variant = variant
                Images = Pipelines.images own variant.Config.Data
            }
        }

/// What the command line says of models to train.
type ModelOptions = {
    /// A configuration file, or a run.
    Source: string
    Sets: string list
    Variant: string option
    Steps: int64 option
    Keep: int option
    Force: bool
}

module ModelOptions =
    let parse (arguments: ParseResults<ModelArguments>) = {
        Source = arguments.GetResult Config
        Sets = arguments.GetResults Set
        Variant = arguments.TryGetResult ModelArguments.Variant
        Steps = arguments.TryGetResult Steps
        Keep = arguments.TryGetResult Keep
        Force = arguments.Contains Force
    }

    /// A configuration file that is not there is an error of its own.
    let private isRun (source: string) =
        not (Path.Exists source) && Path.GetExtension source <> ".json"

    /// Each variant of the configuration, or the one asked for, or a run that is to go on, through a pipeline, in turn.
    let run
        (place: Workplace)
        (options: ModelOptions)
        (load: string -> string list -> Result<Variant list, StageError>)
        (pipeline: Stage<unit, Dataset> -> Variant -> Stage<unit, 'o>)
        =
        taskResult {
            let assignments = [
                yield! options.Sets
                for count in Option.toList options.Keep do
                    $"training.keep={count}"
            ]

            let! requests =
                if isRun options.Source then
                    ModelRequest.continuing place options.Source options.Steps assignments
                    |> Result.map List.singleton
                else
                    assignments
                    @ [ for steps in Option.toList options.Steps -> $"training.steps={steps}" ]
                    |> load options.Source
                    |> Result.bind (Command.only options.Source options.Variant)
                    |> Result.map (List.map ModelRequest.ofVariant)

            return!
                Command.inContext place options.Force (fun context ->
                    requests
                    |> List.traverseTaskResult (fun request ->
                        Stage.run context (pipeline request.Images request.Variant)))
        }
