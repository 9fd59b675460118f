/// `dq schema`: the JSON Schema of configurations, for editors.
module DQ.Pipeline.Commands.Schema

open System.Threading.Tasks
open DQ.Pipeline

let example = "dq schema > configs/dq.schema.json"

let run () : Task<Result<unit, StageError>> =
    printf "%s" (ConfigSchema.generate ())
    Task.FromResult(Ok())
