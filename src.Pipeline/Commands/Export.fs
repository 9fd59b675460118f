/// `dq export`: a run's weights for other programs.
module DQ.Pipeline.Commands.Export

open System.IO
open System.Threading.Tasks
open Argu
open DQ.Core.Published
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; ExactlyOnce>] Source of RUN: string
    | [<Mandatory; Unique; AltCommandLine("-o")>] Output of FILE: string
    | [<Unique>] Names of NAMES: string
    | [<Unique>] Checkpoint of CHECKPOINT: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Source _ -> "id of a run, or a part of an id that only one run has; or a checkpoint file."
            | Output _ -> "the safetensors file to write."
            | Names _ -> "ours (default), or reference: those of the published implementation."
            | Checkpoint _ -> "last (default) or best, of a run."

let example = "dq export quickstart-dq -o weights.safetensors --names reference"

let private oneOf (option: string) (choices: (string * 'a) list) (given: string) =
    match choices |> List.tryFind (fun (name, _) -> name = given) with
    | Some(_, choice) -> Ok choice
    | None ->
        let names = choices |> List.map fst |> String.concat " or "
        Error(Usage $"{option} {given}: expected {names}")

let private export (place: Workplace) (arguments: ParseResults<Arguments>) =
    result {
        let source = arguments.GetResult Source
        let output = arguments.GetResult Output

        let! names =
            arguments.GetResult(Names, "ours")
            |> oneOf "--names" [ "ours", WeightNames.Ours; "reference", WeightNames.Reference ]

        let! which =
            arguments.GetResult(Checkpoint, "last")
            |> oneOf "--checkpoint" [ "last", "last"; "best", "best" ]

        let! file =
            result {
                if File.Exists source then
                    return source
                else
                    let store = Workplace.store place
                    let! folder, _ = Store.find store source
                    return! Checkpoints.choose folder which
            }

        let! _ = Workplace.loadTorch place
        use checkpoint = DQ.Core.Training.Checkpoint.Open file

        match names, ReferenceNames.WhyUnpublished checkpoint.Spec with
        | WeightNames.Reference, NonNull reason ->
            return! Error(Data $"{file}: {reason}; --names ours has no such limit")
        | _ -> ()

        use model = checkpoint.StoredModel()
        WeightsExport.Write(output, model, names, checkpoint.Progress.StepsDone)

        place.Output.Result(
            $"{file} → {output}\n",
            {|
                Checkpoint = file
                File = output
                Steps = checkpoint.Progress.StepsDone
            |}
        )
    }

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    Task.Run(fun () -> export place arguments)
