/// A walk over every command that the program declares: help, machine-readable and quiet results, values that can't be, signals.
module DQ.Tests.Pipeline.WalkTests

open System
open System.IO
open System.Text.Json.Nodes
open Expecto
open DQ.Core.Images
open DQ.Tests.Pipeline.World

/// What serves until it is told to stop has no result.
let private endless = [ [ "serve" ] ]

let private schemas = Path.Combine(Program.repository, "docs", "schemas")

let private lines (text: string) =
    text.Split('\n', StringSplitOptions.RemoveEmptyEntries)

let private validOf world (leaf: Leaf) =
    match (valid world).TryFind leaf.Path with
    | Some arguments -> arguments
    | None ->
        failtestf "dq %s: the walk knows no arguments for it: add them to World.valid" (String.concat " " leaf.Path)

let private within world arguments =
    arguments @ [ "--artifacts"; world.Artifacts ]

/// Each command that ends by itself, with what it gave.
let private results (flags: string list) = [
    let world = world ()

    for leaf in leaves do
        if not (List.contains leaf.Path endless) then
            let name = String.concat " " leaf.Path
            name, call (within world (leaf.Path @ validOf world leaf @ flags))
]

let private checkJson (name: string) (called: Called) =
    Expect.equal called.ExitCode 0 $"dq {name}: {called.Errors}"

    let value =
        try
            JsonNode.Parse called.Output
        with error ->
            failtestf "dq %s --json: %s: %s" name error.Message called.Output

    let file = Path.Combine(schemas, name.Replace(' ', '-') + ".json")

    if not (isNull (Environment.GetEnvironmentVariable "DQ_WRITE_SCHEMAS")) then
        let schema = JsonShape.ofValue value
        schema.Insert(0, "title", JsonValue.Create $"dq {name} --json")
        schema.Insert(0, "$schema", JsonValue.Create "https://json-schema.org/draft/2020-12/schema")
        Directory.CreateDirectory schemas |> ignore
        File.WriteAllText(file, schema.ToJsonString(DQ.Core.Artifacts.ArtifactJson.Options) + "\n")

    match JsonNode.Parse(File.ReadAllText file) with
    | :? JsonObject as schema -> Expect.isEmpty (JsonShape.problems "$" schema value) $"dq {name} --json"
    | _ -> failtestf "%s: expected an object" file

/// Values that an option of this type can't have, or that lead nowhere.
let private badValues (value: Type) =
    if value = typeof<string> then
        [ "/dev/null/nothing"; "" ]
    else
        [ "-3"; "many"; "99999999999999999999" ]

let private isOneLine (called: Called) =
    let said = lines called.Errors |> Array.filter _.StartsWith("dq: ")
    said.Length = 1 && not (called.Errors.Contains "\n   at ")

let private isOneDocument (called: Called) =
    try
        not (isNull (JsonNode.Parse called.Output))
    with :? System.Text.Json.JsonException ->
        false

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Walk" [
        test "every command has help of its own, with an example" {
            for leaf in leaves do
                let name = String.concat " " leaf.Path
                let called = call (leaf.Path @ [ "--help" ])
                Expect.equal called.ExitCode 0 name
                Expect.stringStarts called.Output $"USAGE: dq {name} " name
                Expect.stringContains called.Output $"EXAMPLE:\n\n  dq {leaf.Path.Head}" name
                Expect.isFalse (called.Output.Contains "SUBCOMMANDS") name
        }

        test "every result as JSON fits its schema in docs/schemas, with nothing else beside it" {
            for name, called in results [ "--json"; "--quiet" ] do
                checkJson name called
                Expect.equal called.Errors "" $"dq {name} --json --quiet"
        }

        test "quiet commands say their result alone" {
            for name, called in results [ "--quiet" ] do
                Expect.equal (called.ExitCode, called.Errors) (0, "") $"dq {name} --quiet"
                Expect.notEqual called.Output "" $"dq {name}"
        }

        test "no value of any option is a bug of ours: one line, and exit code 2 or 3" {
            let wrong = ResizeArray()
            let world = world ()

            for leaf in leaves do
                for option, value in options leaf do
                    for bad in badValues value do
                        // an option that stands twice is another error: without the good one
                        let arguments =
                            match validOf world leaf with
                            | arguments when List.contains option arguments ->
                                let at = List.findIndex ((=) option) arguments
                                List.removeManyAt at 2 arguments
                            | arguments -> arguments

                        let arguments =
                            leaf.Path
                            @ (if leaf.Path = [ "serve" ] && option <> "--urls" then
                                   [ "--urls"; "nowhere" ]
                               else
                                   arguments)
                            @ [ option; bad ]

                        let called = call (within world arguments @ [ "--quiet"; "--json" ])
                        let shown = String.concat " " arguments

                        if
                            called.ExitCode = 1
                            || (called.ExitCode <> 0 && not (isOneLine called && isOneDocument called))
                        then
                            wrong.Add $"dq {shown}: {called.ExitCode}: {called.Errors}"

            Expect.equal (List.ofSeq wrong) [] "each with its line"
        }

        test "a result that tells of a failure is one document" {
            let text = file (world ()) "tiny.json"
            let called = call (within (world ()) [ "verify"; text; "--json" ])
            Expect.equal called.ExitCode 3 called.Errors
            Expect.isTrue (isOneLine called) called.Errors
            Expect.isTrue (isOneDocument called) called.Output
        }

        test "what is read is not written over" {
            let world = world ()
            let picture = file world "kept.png"
            File.Copy(Path.Combine(world.Folder, "pictures", "odd", "1.png"), picture, true)
            let weights = file world "weights.safetensors"

            for arguments, kept in
                [
                    [ "compress"; picture; "-o"; picture ], picture
                    [ "encode"; picture; "--run"; "tiny"; "-o"; picture ], picture
                    [ "export"; weights; "-o"; weights ], weights
                ] do
                let before = File.ReadAllBytes kept
                let called = call (within world arguments)
                Expect.equal called.ExitCode 2 called.Errors
                Expect.stringContains called.Errors "expected another file than the input" "said"
                Expect.equal (File.ReadAllBytes kept) before "as it was"
        }

        test "so with a device that is none, and a folder that can't be" {
            for options, exitCode in
                [
                    [ "--device"; "gpu" ], 2
                    [ "--device"; "cuda:x" ], 2
                    [ "--threads"; "0" ], 2
                    [ "--threads"; "many" ], 2
                    [ "--artifacts"; "/dev/null/nothing" ], 3
                ] do
                let called = call ([ "train"; file (world ()) "tiny.json" ] @ options)
                Expect.equal called.ExitCode exitCode called.Errors
                Expect.isTrue (isOneLine called) called.Errors
        }

        test "an evaluation on fewer images stands beside the run's own" {
            let world = world ()

            let show () =
                let called = call (within world [ "runs"; "show"; "tiny"; "--json" ])
                nonNull (JsonNode.Parse called.Output)

            let own = (nonNull (show()["evaluation"])).ToJsonString()
            let called = call (within world [ "evaluate"; "tiny"; "--limit"; "3"; "--json" ])
            Expect.equal called.ExitCode 0 called.Errors
            Expect.stringContains called.Errors "kept beside the run's own" "said"
            let after = show ()
            Expect.equal ((nonNull after["evaluation"]).ToJsonString()) own "its own stays"
            let others = (nonNull after["other_evaluations"]).AsArray()
            let limits = [ for one in others -> (nonNull one).["limit"] |> nonNull |> int ]
            Expect.equal limits [ 3 ] "kept"

            let again = call (within world [ "evaluate"; "tiny"; "--limit"; "3"; "--json" ])
            Expect.stringContains again.Errors "reused" "found again"
        }

        test "decode reads what encode writes, in all forms" {
            let world = world ()
            let picture = Path.Combine(world.Folder, "pictures", "odd", "1.png")

            let pictures = [
                for name, by in
                    [
                        "packed", [ "--run"; "tiny" ]
                        "arrays", [ "--run"; "tiny"; "--format"; "npz" ]
                        "coded", [ "--prior"; "prior-tiny" ]
                    ] do
                    let codes, folder = file world $"both.{name}", file world $"both-{name}"
                    let encoded = call (within world ([ "encode"; picture; "-o"; codes ] @ by))

                    Expect.equal encoded.ExitCode 0 encoded.Errors
                    let decoded = call (within world [ "decode"; codes; "-o"; folder ])
                    Expect.equal decoded.ExitCode 0 decoded.Errors
                    File.ReadAllBytes(Path.Combine(folder, "1.reconstruction.png"))
            ]

            Expect.equal pictures[1] pictures[0] "the same picture from arrays"
            Expect.equal pictures[2] pictures[0] "and from codes that were coded under a prior"
        }

        test "a planned stop is no error" {
            let called =
                call (
                    within (world ()) [
                        "train"
                        file (world ()) "tiny.json"
                        "--set"
                        "training.steps=1000000"
                        "--max-minutes"
                        "0.01"
                        "--json"
                    ]
                )

            let value = nonNull (JsonNode.Parse called.Output)
            Expect.equal called.ExitCode 0 called.Errors
            Expect.isEmpty ((nonNull value["errors"]).AsArray()) "no error"
            Expect.stringContains (string value["stopped"]) "stopped after" "said"
        }
    ]
