/// What the commands that train models from a configuration take.
namespace DQ.Pipeline.Commands

open Argu
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type ModelArguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | Set of ASSIGNMENT: string
    | Variant of NAME: string
    | [<Unique>] Keep of N: int
    | [<Unique>] Max_Minutes of MINUTES: float
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ -> "configuration file (JSON with comments)."
            | Set _ ->
                "KEY=VALUE, which replaces a value of the configuration, such as training.steps=1000; may be given several times."
            | Variant _ -> "only this variant of the configuration."
            | Keep _ ->
                "how many of the last checkpoints to keep (training.keep); the best by validation is always kept."
            | Max_Minutes _ -> "save and stop after this many minutes, with exit code 0; the same command continues."
            | Force -> "do finished work again."

module ModelArguments =
    /// Each variant of the configuration, or the one asked for, through a pipeline, in turn.
    let run
        (place: Workplace)
        (arguments: ParseResults<ModelArguments>)
        (load: string -> string list -> Result<Variant list, StageError>)
        (pipeline: Variant -> Stage<unit, 'o>)
        =
        taskResult {
            let file = arguments.GetResult Config

            let assignments = [
                yield! arguments.GetResults Set
                for count in Option.toList (arguments.TryGetResult Keep) do
                    $"training.keep={count}"
            ]

            let! variants =
                load file assignments
                |> Result.bind (Command.only file (arguments.TryGetResult Variant))

            return!
                Command.inContext place (arguments.Contains Force) (fun context ->
                    variants |> List.traverseTaskResult (pipeline >> Stage.run context))
        }
