/// What commands share.
module DQ.Pipeline.Commands.Command

open System.Threading.Tasks
open DQ.Core.Artifacts
open DQ.Core.Training
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Storage
open DQ.Pipeline.Training
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

/// Opens the context stages work with, and shows their progress.
let inContext
    (place: Workplace)
    force
    (work: StageContext -> Task<Result<'a, StageError>>)
    : Task<Result<'a, StageError>> =
    task {
        match Workplace.context place force with
        | Ok context -> return! place.Output.Watch(fun () -> work context)
        | Error error -> return Error error
    }

/// All of a configuration's variants, or the one asked for.
let only file (name: string option) (variants: Variant list) : Result<Variant list, StageError> =
    match name with
    | None -> Ok variants
    | Some name ->
        match variants |> List.filter (fun variant -> variant.Variant = name) with
        | [] ->
            match variants |> List.map _.Variant |> List.filter ((<>) "") with
            | [] -> Error(Usage $"--variant {name}: {file} has no variants")
            | known ->
                let known = String.concat ", " known
                Error(Usage $"--variant {name}: {file} has {known}")
        | chosen -> Ok chosen

/// The variants of a configuration file, or the one asked for.
let variants file assignments (name: string option) : Result<Variant list, StageError> =
    Config.load file assignments |> Result.bind (only file name)

/// The run that a name means; says which, where others have the name too.
let runNamed (place: Workplace) (name: string) : Result<string * RunRecord, StageError> =
    Store.find (Workplace.store place) place.Output.Note name

/// The checkpoint that `--run` or `--checkpoint` names, and the id of the run in the first case.
let checkpoint
    (place: Workplace)
    (run: string option)
    (file: string option)
    : Result<string * string option, StageError> =
    match run, file with
    | Some _, Some _
    | None, None -> Error(Usage "expected either --run RUN or --checkpoint FILE")
    | None, Some file -> Ok(file, None)
    | Some id, None ->
        result {
            let! folder, record = runNamed place id
            let! file = Checkpoints.choose folder "last"
            return file, Some record.Id
        }

/// The model of a checkpoint, in evaluation mode, on the device asked for.
let model (place: Workplace) (file: string) =
    result {
        let! _ = Workplace.loadTorch place
        let! device = Device.ofName place.Settings.Device
        use checkpoint = Checkpoint.Open file
        let model = checkpoint.Model()
        TorchSharp.ModuleExtensionMethods.``to`` (model, device) |> ignore
        return model
    }

/// Refuses an output that would replace one of the inputs.
let refuseInput (output: string) (inputs: string list) : Result<unit, StageError> =
    let full (path: string) = System.IO.Path.GetFullPath path

    if inputs |> List.exists (fun input -> full input = full output) then
        Error(Usage $"--output {output}: expected another file than the input")
    else
        Ok()

/// An action on the outcome, when there is one.
let finish (act: 'a -> unit) (work: Task<Result<'a, StageError>>) : Task<Result<unit, StageError>> =
    task {
        let! outcome = work
        return Result.map act outcome
    }

/// A run's own data set, unless the command line names other data or the run was imported and has none.
let ownDataset (record: RunRecord) (sets: ConfigTree.Layer list) =
    if sets |> List.exists (fun set -> set.Tree.ContainsKey "data") then
        None
    else
        record.Parents |> Seq.tryFind (fun parent -> parent.Kind = "dataset")
