/// `dq train`: a model, on data that is packed first where need be.
module DQ.Pipeline.Commands.Train

open Argu
open DQ.Core.Artifacts
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
            | Set _ -> "KEY=VALUE over the configuration; may be given several times."
            | Variant _ -> "only this variant of the configuration."
            | Keep _ -> "checkpoints to keep, the last ones (training.keep); the best by validation is kept besides."
            | Max_Minutes _ -> "save and stop after so many minutes, exit code 0; the same command goes on from there."
            | Force -> "train anew, beside what was trained before."

let example = "dq train configs/quickstart.json --variant dq"

let private describe (run: Train.TrainedRun) =
    let validation (record: RunRecord) =
        match
            Option.ofNullable record.ValidationReconstructionNatsPerDim, Option.ofNullable record.ValidationSquaredError
        with
        | Some nats, _ -> $"validation {nats:F4} nats/dim"
        | None, Some error -> $"validation {error:F4} squared error"
        | None, None -> "no validation images"

    $"{run.Record.Id}: {run.Record.StepsDone} steps, {validation run.Record}\n"

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
                        let stages = Prepare.stage |> Stage.andThen (Train.stage variant)
                        Stage.execute context stages variant.Config.Data))
                |> Command.finish (fun runs ->
                    let text = runs |> List.map describe |> String.concat ""
                    place.Output.Result(text, {| Runs = runs |> List.map _.Record |}))
    }
