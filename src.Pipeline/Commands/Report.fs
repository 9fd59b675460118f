/// `dq report`: runs as one HTML file to send to someone.
module DQ.Pipeline.Commands.Report

open System.IO
open Argu
open DQ.Pipeline
open DQ.Pipeline.Host

type Arguments =
    | [<MainCommand; ExactlyOnce>] Runs of RUN: string list
    | [<AltCommandLine "-o"; Unique>] Output of FILE: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Runs _ -> "runs: their names, ids or parts of them, latest or @2."
            | Output _ -> "the HTML file (default: report.html)."

let example = "dq report -o report.html quickstart-dq quickstart-vq"

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    let output = Path.GetFullPath(arguments.GetResult(Output, "report.html"))

    SiteProgram.start place true ("report" :: arguments.GetResult Runs @ [ "-o"; output ])
    |> Command.finish (fun () -> place.Output.Result($"{output}\n", {| File = output |}))
