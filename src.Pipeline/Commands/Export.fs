/// `dq export`: a run's weights for other programs.
module DQ.Pipeline.Commands.Export

open System
open System.IO
open System.Threading.Tasks
open Argu
open DQ.Core
open DQ.Core.Classification
open DQ.Core.Coding
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
            | Source _ -> "a run: its name, its id or a part of it, latest or @2; or a checkpoint file."
            | Output _ ->
                "the safetensors file to write; of a context head that stands alone, the frozen model (.dqm) for dq compress."
            | Names _ ->
                "ours (default), reference: those of the published implementation; of a classifier torchvision: those of its resnet18."
            | Checkpoint _ -> "last (default) or best, of a run."

let example = "dq export quickstart-dq -o weights.safetensors --names reference"

let private oneOf (option: string) (choices: (string * 'a) list) (choice: string) =
    match choices |> List.tryFind (fun (name, _) -> name = choice) with
    | Some(_, choice) -> Ok choice
    | None ->
        let names = choices |> List.map fst |> String.concat " or "
        Error(Usage $"{option} {choice}: expected {names}")

[<RequireQualifiedAccess>]
type private Naming =
    | Ours
    | Reference
    | Torchvision

let private writeAutoencoder file output names =
    result {
        use checkpoint = DQ.Core.Training.Checkpoint.Open file

        let! names =
            match names, ReferenceNames.WhyUnpublished checkpoint.Spec with
            | Naming.Ours, _ -> Ok WeightNames.Ours
            | Naming.Reference, null -> Ok WeightNames.Reference
            | Naming.Reference, reason -> Error(Data $"{file}: {reason}; --names ours has no such limit")
            | Naming.Torchvision, _ ->
                Error(Data $"{file}: torchvision has no such autoencoder; expected --names ours or reference")

        use model = checkpoint.StoredModel()
        WeightsExport.Write(output, model, names, checkpoint.Progress.StepsDone)
        return checkpoint.Progress.StepsDone
    }

let private writeClassifier file output names =
    result {
        use checkpoint = ClassifierCheckpoint.Open file

        let! torchvision =
            match names, ClassifierExport.WhyNotTorchvision checkpoint.Spec with
            | Naming.Ours, _ -> Ok false
            | Naming.Torchvision, null -> Ok true
            | Naming.Torchvision, reason -> Error(Data $"{file}: {reason}; --names ours has no such limit")
            | Naming.Reference, _ ->
                Error(
                    Data
                        $"{file}: the published implementation has no classifiers; expected --names ours or torchvision"
                )

        use model = checkpoint.Model()
        ClassifierExport.Write(output, model, torchvision, checkpoint.Progress.StepsDone)
        return checkpoint.Progress.StepsDone
    }

/// In integers, as `dq compress` takes it.
let private writeContext file output names =
    result {
        match names with
        | Naming.Ours -> ()
        | _ -> return! Error(Data $"{file}: a context head is exported in integers; expected --names ours")

        let! model = LosslessModels.frozen file
        let packed = FrozenContextFile.Write model
        AtomicFile.Write(output, (fun stream -> stream.Write(ReadOnlySpan packed)))
        use checkpoint = ContextCheckpoint.Open file
        return checkpoint.Progress.StepsDone
    }

let private write file output names =
    let kind =
        use checkpoint = new CheckpointFile(file)
        checkpoint.Kind

    if kind = ClassifierCheckpoint.KindName then
        writeClassifier file output names
    elif kind = ContextCheckpoint.KindName then
        writeContext file output names
    else
        writeAutoencoder file output names

let private export (place: Workplace) (arguments: ParseResults<Arguments>) =
    result {
        let source = arguments.GetResult Source
        let output = arguments.GetResult Output
        do! Command.refuseInput output [ source ]

        let! names =
            arguments.GetResult(Names, "ours")
            |> oneOf "--names" [
                "ours", Naming.Ours
                "reference", Naming.Reference
                "torchvision", Naming.Torchvision
            ]

        let! which =
            arguments.GetResult(Checkpoint, "last")
            |> oneOf "--checkpoint" [ "last", "last"; "best", "best" ]

        let! file =
            result {
                if File.Exists source then
                    return source
                else
                    let! folder, _ = Command.runNamed place source
                    return! Checkpoints.choose folder which
            }

        let! _ = Workplace.loadTorch place
        let! steps = write file output names

        place.Output.Result(
            $"{file} → {output}\n",
            {|
                Checkpoint = file
                File = output
                Steps = steps
            |}
        )
    }

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    Task.Run(fun () -> export place arguments)
