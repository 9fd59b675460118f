/// `dq serve`: the report site.
module DQ.Pipeline.Commands.Serve

open Argu
open DQ.Pipeline
open DQ.Pipeline.Host

type Arguments =
    | [<Unique>] Urls of URLS: string
    | [<Unique>] Token of TEXT: string
    | [<Unique>] Token_File of FILE: string
    | [<Unique>] Path_Base of PATH: string
    | [<Unique>] Allowed_Hosts of NAMES: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Urls _ ->
                "where to listen (default: http://localhost:5080). Anything but this machine's own addresses asks visitors for a token."
            | Token _ -> "the token, at least 16 characters (default: DQ_TOKEN, else one is made and printed)."
            | Token_File _ -> "a file with the token, which other users of the machine can't see as they see arguments."
            | Path_Base _ -> "the path below which a proxy shows the site, such as /dq."
            | Allowed_Hosts _ ->
                "names by which a proxy shows the site, separated by semicolons. Visitors then need the token."

let example =
    "dq serve\n  dq serve --artifacts /data/artifacts --urls http://0.0.0.0:8080"

let run (place: Workplace) (arguments: ParseResults<Arguments>) =
    SiteProgram.start place false [
        for name, value in
            [
                "--urls", arguments.TryGetResult Urls
                "--token", arguments.TryGetResult Token
                "--token-file", arguments.TryGetResult Token_File
                "--path-base", arguments.TryGetResult Path_Base
                "--allowed-hosts", arguments.TryGetResult Allowed_Hosts
            ] do
            for value in Option.toList value do
                yield! [ name; value ]
    ]
