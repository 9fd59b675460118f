/// One tiny run of everything, which the walk over all commands shares, and the commands as the program declares them.
module DQ.Tests.Pipeline.World

open System
open System.IO
open FSharp.Reflection
open Argu
open DQ.Core.Artifacts
open DQ.Core.Images
open DQ.Pipeline
open DQ.Pipeline.Storage

/// A command without subcommands: its words, and the union of its arguments.
type Leaf = { Path: string list; Arguments: Type }

let private word (name: string) =
    name.ToLowerInvariant().Replace('_', '-')

let rec private leavesOf path (arguments: Type) : Leaf list =
    let below = [
        for case in FSharpType.GetUnionCases arguments do
            match case.GetFields() with
            | [| field |] when
                field.PropertyType.IsGenericType
                && field.PropertyType.GetGenericTypeDefinition() = typedefof<ParseResults<_>>
                ->
                yield! leavesOf (path @ [ word case.Name ]) (field.PropertyType.GetGenericArguments()[0])
            | [||] when case.GetCustomAttributes typeof<SubCommandAttribute> <> [||] ->
                failwith $"{case.Name}: a command without arguments of its own, which the walk can't see"
            | _ -> ()
    ]

    match below with
    | [] -> [ { Path = path; Arguments = arguments } ]
    | leaves -> leaves

/// Every command of the program.
let leaves = leavesOf [] typeof<DQ.Pipeline.Program.Arguments>

/// An option with a value: its name on the command line, and the value's type.
let options (leaf: Leaf) : (string * Type) list = [
    for case in FSharpType.GetUnionCases leaf.Arguments do
        match case.GetFields(), case.GetCustomAttributes typeof<MainCommandAttribute> with
        | [| field |], [||] ->
            let value =
                if field.PropertyType.IsGenericType then
                    field.PropertyType.GetGenericArguments()[0]
                else
                    field.PropertyType

            $"--{word case.Name}", value
        | _ -> ()
]

/// What a call of the program within this process gave.
type Called = {
    ExitCode: int
    Output: string
    Errors: string
}

/// The program within this process. The console is one for all: only sequenced tests may call it.
let call (arguments: string list) : Called =
    use output = new StringWriter()
    use errors = new StringWriter()
    let standard, standardErrors = Console.Out, Console.Error
    let threads = Environment.GetEnvironmentVariable "DQ_THREADS"
    // as all tests: the models are tiny
    Environment.SetEnvironmentVariable("DQ_THREADS", "1")

    try
        Console.SetOut output
        Console.SetError errors
        let exitCode = DQ.Pipeline.Program.main (List.toArray arguments)

        {
            ExitCode = exitCode
            Output = string output
            Errors = string errors
        }
    finally
        Console.SetOut standard
        Console.SetError standardErrors
        // processes that other tests start would have it too
        Environment.SetEnvironmentVariable("DQ_THREADS", threads)

let private model =
    """"model": { "channels": 8, "residual_channels": 8, "coder_blocks": 1, "codes": [8, 8], "codebooks": 2, "code_width": 4 },
       "evaluation": { "samples": 2, "extremes": 1, "ablation_images": 4, "atlas_patches": 2 },"""

let private training =
    """"training": { "steps": 4, "batch_size": 4, "log_every": 2, "validate_every": 4, "checkpoint_every": 2,
                    "sample_every": 0, "initialization_batches": 2 }"""

let private files = [
    "tiny.json", $$"""{ "data": { "count": 60, "image_size": 8 }, {{model}} {{training}} }"""
    "cells.json",
    $$"""{ "data": { "count": 60, "image_size": 8 }, {{model}} {{training}}, "sweep": { "seeds": [0, 1] } }"""
    "chain.json",
    $$"""{ "data": { "count": 60 }, {{model}} {{training}},
           "progressive": { "stages": { "small": { "image_size": 8, "steps": 4 }, "large": { "image_size": 16, "steps": 4 } } } }"""
    "classes.json",
    $$"""{ "data": { "source": "folder", "path": "PICTURES", "image_size": 16 },
           "model": { "stride": 2, "coder_blocks": 2, "channels": 8, "residual_blocks": 1, "residual_channels": 4, "codes": [16] },
           "classification": { "mode": "one_stage", "quantized": "none" }, {{training}} }"""
    "prior.json",
    """{ "prior": { "run": "tiny", "width": 8, "embedding": 4 },
         "training": { "steps": 4, "batch_size": 4, "warmup_steps": 0, "log_every": 2, "validate_every": 4, "checkpoint_every": 2 } }"""
    "bits.json",
    """{ "allocation": { "network": "run", "run": "classes", "layer": "backbone.blocks.0",
           "calibration_images": 8, "test_images": 5, "batch_size": 4, "average_bits": [1, 2], "reserve": 3, "move_rounds": 2,
           "small_case_channels": 2, "small_case_bits": 2, "online_images": 1, "online_bits": 2 } }"""
]

/// A folder with configurations, pictures, and what every command made of them.
type World = { Folder: string; Artifacts: string }

let file world name = Path.Combine(world.Folder, name)

let private pictures folder =
    for index in 0..59 do
        let place = Path.Combine(folder, (if index % 2 = 0 then "even" else "odd"))
        Directory.CreateDirectory place |> ignore

        ImageFile.WritePng(
            Path.Combine(place, $"{index}.png"),
            PixelImage(DeadLeaves.Generate(0L, int64 index, 16), 3, 16, 16)
        )

let private succeed arguments =
    let called = call arguments

    if called.ExitCode <> 0 then
        failwith $"%A{arguments}: {called.ExitCode}: {called.Errors}"

let private made =
    lazy
        (let folder = Directory.CreateTempSubdirectory("dq-walk-").FullName
         AppDomain.CurrentDomain.ProcessExit.Add(fun _ -> Directory.Delete(folder, true))

         let world = {
             Folder = folder
             Artifacts = Path.Combine(folder, "artifacts")
         }

         let pictureFolder = Path.Combine(folder, "pictures")
         pictures pictureFolder

         for name, text in files do
             File.WriteAllText(file world name, text.Replace("PICTURES", pictureFolder.Replace("\\", "/")))

         let dq arguments =
             succeed (arguments @ [ "--artifacts"; world.Artifacts; "--quiet" ])

         dq [ "run"; file world "tiny.json" ]
         dq [ "classify"; file world "classes.json" ]
         dq [ "export"; "tiny"; "-o"; file world "weights.safetensors" ]
         dq [ "import"; file world "weights.safetensors"; "--name"; "imported" ]

         dq [
             "encode"
             Path.Combine(pictureFolder, "odd", "1.png")
             "--run"
             "tiny"
             "-o"
             file world "codes.dqc"
         ]

         dq [ "prior"; file world "prior.json" ]

         dq [ "compress"; pictureFolder; "-o"; file world "pictures.dqz" ]

         world)

/// Made once.
let world () = made.Value

let private store world = Store.at world.Artifacts

/// Arguments with which each command does something small; a command that is missing here fails the walk.
let valid (world: World) : Map<string list, string list> =
    let at = file world
    let picture = Path.Combine(world.Folder, "pictures", "odd", "1.png")
    let out name = [ "-o"; at name ]

    let imported =
        match Store.find (store world) ignore "imported" with
        | Ok(folder, _) -> nonNull (Path.GetFileName folder)
        | Error error -> failwith $"%A{error}"

    // of those that the walk makes, any one
    let dataset =
        Directory.GetDirectories(Path.Combine(world.Artifacts, RunLayout.Datasets), "dead_leaves-*")
        |> Array.head
        |> Path.GetFileName
        |> nonNull

    Map [
        [ "run" ], [ at "tiny.json" ]
        [ "ingest" ], [ at "tiny.json" ]
        [ "train" ], [ at "tiny.json" ]
        [ "evaluate" ], [ "tiny" ]
        [ "classify" ], [ at "classes.json" ]
        [ "sweep" ], [ at "cells.json" ]
        [ "progressive" ], [ at "chain.json" ]
        [ "plan" ], [ at "tiny.json" ]
        [ "runs"; "list" ], []
        [ "runs"; "show" ], [ "imported" ]
        [ "runs"; "tag" ], [ "tiny"; "--add"; "walked" ]
        [ "runs"; "note" ], [ "tiny"; "--text"; "walked" ]
        [ "runs"; "archive" ], [ imported; "--undo" ]
        [ "runs"; "compare" ], [ "tiny"; "imported" ]
        [ "runs"; "config" ], [ "tiny" ]
        [ "runs"; "export" ], [ "tiny"; yield! out "exported" ]
        [ "runs"; "delete" ], [ imported; "--dry-run" ]
        [ "runs"; "disk" ], []
        [ "datasets"; "list" ], []
        [ "datasets"; "show" ], [ dataset ]
        [ "find-rate" ], [ at "tiny.json"; "--steps"; "12" ]
        [ "completion" ], [ "bash" ]
        [ "density" ], [ "--run"; "tiny"; "--codes"; "4"; "--seeds"; "1"; "--steps"; "2" ]
        [ "allocate" ], [ at "bits.json" ]
        [ "prior" ], [ at "prior.json" ]
        [ "sample" ], [ "prior-tiny"; "--count"; "3"; yield! out "samples.png" ]
        [ "import" ], [ at "weights.safetensors"; "--name"; "imported" ]
        [ "export" ], [ "tiny"; yield! out "again.safetensors" ]
        [ "reconstruct" ], [ picture; "--run"; "tiny"; yield! out "reconstructed" ]
        [ "encode" ], [ picture; "--run"; "tiny"; yield! out "again.dqc" ]
        [ "decode" ], [ at "codes.dqc"; yield! out "decoded" ]
        [ "compress" ], [ picture; yield! out "again.dqz" ]
        [ "decompress" ], [ at "pictures.dqz"; yield! out "decompressed" ]
        [ "info" ], [ at "pictures.dqz"; "--verify"; "--list" ]
        [ "verify" ],
        [
            Path.Combine(
                DQ.Tests.Pipeline.Program.repository,
                "tests",
                "Fixtures",
                "parity",
                "dq-ce-1level.safetensors"
            )
        ]
        [ "bench" ], [ at "tiny.json"; "--repetitions"; "1" ]
        [ "serve" ], [ "--urls"; "http://127.0.0.1:0" ]
        [ "report" ], [ "tiny"; yield! out "report.html" ]
        [ "doctor" ], []
        [ "schema" ], []
    ]
