/// `dq run`: the whole pipeline of a configuration.
module DQ.Pipeline.Commands.Run

open Argu
open DQ.Pipeline

type Arguments =
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
            | Set _ -> "KEY=VALUE over the configuration, such as training.steps=1000; may be given several times."
            | Variant _ -> "only this variant of the configuration."
            | Keep _ -> "checkpoints to keep, the last ones (training.keep); the best by validation is kept besides."
            | Max_Minutes _ -> "save and stop after so many minutes, exit code 0; the same command goes on from there."
            | Force -> "do anew what was done before."

let example = "dq run configs/quickstart.json --set training.steps=1000"

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    task {
        match
            Command.variants
                (arguments.GetResult Config)
                (arguments.GetResults Set @ Command.keep (arguments.TryGetResult Arguments.Keep))
                (arguments.TryGetResult Arguments.Variant)
        with
        | Error error -> return Error error
        | Ok variants ->
            return!
                Command.inContext place (arguments.Contains Force) (fun context ->
                    variants
                    |> Command.inTurn (fun variant ->
                        Stage.execute context (Evaluate.pipeline variant) variant.Config.Data))
                |> Command.finish (fun runs ->
                    place.Output.Result(Summary.table runs + "\n" + Summary.places runs, Summary.data runs))
    }
