/// `dq import`: weights of the published implementation, or bare ones, as a run; its configuration as one of ours.
module DQ.Pipeline.Commands.Import

open System.IO
open System.Text.Json
open System.Text.Json.Nodes
open System.Threading.Tasks
open Argu
open DQ.Core.Artifacts
open DQ.Core.Published
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open FsToolkit.ErrorHandling

type Arguments =
    | [<MainCommand; Unique>] File of FILE: string
    | [<Unique>] Config of INI: string
    | [<Unique>] Spec of CONFIG: string
    | [<Unique>] Variant of NAME: string
    | [<Unique>] Name of NAME: string
    | [<Unique>] Key of KEY: string
    | Allow_Non_Finite
    | Set of ASSIGNMENT: string
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | File _ -> "a checkpoint of the published implementation, or weights: .pt, .pth or safetensors."
            | Config _ ->
                "the published implementation's INI configuration; without FILE it is printed as a DQ configuration."
            | Spec _ -> "a DQ configuration with the model of these weights, where FILE does not say it."
            | Variant _ -> "this variant of --spec."
            | Name _ -> "name of the run (default: that of the file)."
            | Key _ -> "of the set of weights to take where FILE has several, such as state_dict_ema."
            | Allow_Non_Finite -> "import weights that are not finite (NaN, infinity) all the same, to export them."
            | Set _ ->
                "KEY=VALUE, which replaces a value of the configuration, such as data.path=DIR; may be given several times."
            | Force -> "import again what was imported before."

let example =
    "dq import best_model.pt --name published --set data.source=cifar10 --set data.path=cifar-10-batches-bin\n"
    + "  dq import --config dq.config > ours.json"

/// Weights need no images, so those are looked at only where they are said.
let private check (config: RunConfig) =
    match config.Data.Path with
    | null -> Checks.problemsBesideData config
    | _ -> Checks.problems config

/// The layers the model comes from, and what is to be said about it.
let private basis (arguments: ParseResults<Arguments>) (source: WeightsSource option) =
    let generated file tree : ConfigTree.Layer list = [
        {
            File = file
            Prefix = ""
            Tree = tree
        }
    ]

    let fromFile = source |> Option.bind (fun source -> Option.ofObj source.Spec)

    match arguments.TryGetResult Spec, arguments.TryGetResult Config, fromFile with
    | Some _, Some _, _ -> Error(Usage "expected either --spec or --config, got both")
    | Some file, None, _ ->
        Config.layers file []
        |> Result.map (fun layers -> generated file (Published.underSpec ()) @ layers, [])
    | None, Some file, _ ->
        let published = PublishedConfig.Read file
        let tree, training = Published.ofConfig published
        let notes = List.ofSeq published.Notes
        // weights are trained already
        Ok(generated file tree, (if source.IsSome then notes else notes @ training))
    | None, None, Some spec -> Ok(generated (arguments.GetResult File) (Published.ofModel spec), [])
    | None, None, None ->
        Error(Usage $"{arguments.GetResult File}: does not say which model it is: give --config INI or --spec CONFIG")

/// The configuration of the run to be.
let private settle (arguments: ParseResults<Arguments>) (source: WeightsSource option) =
    result {
        let! layers, notes = basis arguments source

        let! sets =
            Config.assignments (arguments.GetResults Set) |> Result.mapError Configuration

        let named: ConfigTree.Layer list = [
            for name in Option.toList (arguments.TryGetResult Name) do
                let tree = JsonObject()
                tree["name"] <- JsonValue.Create name

                {
                    File = "--name"
                    Prefix = ""
                    Tree = tree
                }
        ]

        let file =
            arguments.TryGetResult File
            |> Option.orElse (arguments.TryGetResult Config)
            |> Option.defaultValue ""

        let! variants =
            Config.ofLayersChecked check file (layers @ named @ sets)
            |> Result.bind (Command.only file (arguments.TryGetResult Variant))

        match variants with
        | [ variant ] -> return variant, notes
        | several ->
            let names = several |> List.map _.Variant |> String.concat ", "
            return! Error(Usage $"weights are those of one model: choose with --variant from {names}")
    }

/// An INI configuration as one of ours.
let private print (place: Workplace) (arguments: ParseResults<Arguments>) =
    result {
        let! variant, notes = settle arguments None

        let notes = [
            yield! notes
            if variant.Config.Data.Path = null then
                "data.path has to say where the images are"
        ]

        for note in notes do
            place.Output.Note $"note: {note}"

        let config = Settings.toTree variant.Config

        place.Output.Result(config.ToJsonString(ArtifactJson.Options) + "\n", {| Config = config; Notes = notes |})
    }

let private describe (imported: Import.ImportedRun) =
    let record = imported.Record

    Table.render Table.Left [
        [ "run"; record.Id ]
        [ "folder"; imported.Folder ]
        [
            "parameters"
            imported.Record.Trained
            |> Option.ofObj
            |> Option.bind (fun trained -> Option.ofNullable trained.Parameters)
            |> Option.map string
            |> Option.defaultValue "–"
        ]
        [ "steps"; string record.StepsDone ]
        for note in record.Notes do
            [ "note"; note ]
    ]

/// Weights that are not finite are no weights, unless somebody asks for them.
let private broken (arguments: ParseResults<Arguments>) file (source: WeightsSource) =
    match source.NonFinite() with
    | null -> Ok []
    | problem when arguments.Contains Allow_Non_Finite -> Ok [ problem ]
    | problem ->
        Error(Data $"{file}: expected weights that are finite: {problem}; --allow-non-finite imports them all the same")

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    match arguments.TryGetResult File, arguments.TryGetResult Config with
    | None, Some _ -> Task.FromResult(print place arguments)
    | None, None -> Task.FromResult(Error(Usage "expected a file of weights, or --config INI to print"))
    | Some file, _ ->
        Command.inContext place (arguments.Contains Force) (fun context ->
            taskResult {
                use source = WeightsSource.Open(file, Option.toObj (arguments.TryGetResult Key))
                let! variant, notes = settle arguments (Some source)
                let! broken = broken arguments file source
                let notes = notes @ List.ofSeq source.Notes @ broken

                notes |> List.iter (fun note -> place.Output.Note $"note: {note}")
                return! Stage.run context (Pipelines.imported variant file source notes)
            })
        |> Command.finish (fun imported ->
            place.Output.Result(
                describe imported,
                {|
                    Folder = imported.Folder
                    Run = imported.Record
                |}
            ))
