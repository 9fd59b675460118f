/// `dq schema`: the JSON Schema of configurations, for editors.
module DQ.Pipeline.Commands.Schema

open System.IO
open System.Text
open System.Threading.Tasks
open Argu
open DQ.Core
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Host

type Arguments =
    | [<AltCommandLine "-o"; Unique>] Output of FILE: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Output _ -> "the file to write (default: standard output)."

let example = "dq schema -o configs/dq.schema.json"

let run (arguments: ParseResults<Arguments>) : Task<Result<unit, StageError>> =
    let schema = ConfigSchema.generate ()

    match arguments.TryGetResult Output with
    | Some file -> AtomicFile.Write(Path.GetFullPath file, (fun stream -> stream.Write(Encoding.UTF8.GetBytes schema)))
    | None -> printf "%s" schema

    Task.FromResult(Ok())
