/// `dq serve`: the report site.
module DQ.Pipeline.Commands.Serve

open Argu
open DQ.Pipeline
open DQ.Pipeline.Host

type Arguments =
    | [<Unique>] Urls of URLS: string
    | [<Unique>] Token of TEXT: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Urls _ ->
                "where to listen (default: http://localhost:5080). Anything but this machine's own addresses asks visitors for a token."
            | Token _ -> "the token (default: DQ_TOKEN, else one is made and printed)."

let example =
    "dq serve\n  dq serve --artifacts /data/artifacts --urls http://0.0.0.0:8080"

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    SiteProgram.start place [
        for urls in Option.toList (arguments.TryGetResult Urls) do
            yield! [ "--urls"; urls ]
        for token in Option.toList (arguments.TryGetResult Token) do
            yield! [ "--token"; token ]
    ]
