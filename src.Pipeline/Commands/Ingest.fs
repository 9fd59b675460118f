/// `dq ingest`: images to a packed data set.
module DQ.Pipeline.Commands.Ingest

open Argu
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Pipeline.Host
open DQ.Pipeline.Data

type Arguments =
    | [<MainCommand; ExactlyOnce>] Config of CONFIG: string
    | Set of ASSIGNMENT: string
    | Force

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Config _ -> "configuration file; its data part is used."
            | Set _ ->
                "KEY=VALUE, which replaces a value of the configuration, such as data.path=DIR; may be given several times."
            | Force -> "pack again what is packed already."

let example =
    "dq ingest configs/cifar10-small.json --set data.path=cifar-10-batches-bin"

let private describe (dataset: Dataset) =
    let r = dataset.Record

    Table.render Table.Left [
        [ "folder"; dataset.Folder ]
        [ "images"; $"{r.Channels} × {r.Height} × {r.Width}" ]
        [ "train"; string r.Train.Count ]
        [ "validation"; string r.Validation.Count ]
        [ "test"; string r.Test.Count ]
        [ "split rule"; r.SplitRule ]
        [
            "left out"
            $"{r.CorruptImages.Count} unreadable, {r.OtherFiles} other files"
        ]
    ]

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    task {
        match Config.load (arguments.GetResult Config) (arguments.GetResults Set) with
        | Error error -> return Error error
        | Ok variants ->
            return!
                Command.inContext place (arguments.Contains Force) (fun context ->
                    variants
                    |> List.map _.Config.Data
                    |> List.distinct
                    |> List.traverseTaskResult (Pipelines.packed >> Stage.run context))
                |> Command.finish (fun datasets ->
                    let text = datasets |> List.map describe |> String.concat "\n"

                    let data =
                        datasets
                        |> List.map (fun dataset -> {|
                            Folder = dataset.Folder
                            Dataset = dataset.Record
                        |})

                    place.Output.Result(text, {| Datasets = data |}))
    }
