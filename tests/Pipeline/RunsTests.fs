/// `dq runs`: filters, comparisons, configurations, export and deletion of runs in a store.
module DQ.Tests.Pipeline.RunsTests

open System.IO
open System.Text.Json.Nodes
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Formats
open DQ.Pipeline
open DQ.Pipeline.Configuration
open DQ.Pipeline.Stages
open DQ.Pipeline.Storage
open DQ.Tests.Formats
open DQ.Tests.Pipeline.Contexts
open DQ.Tests.Pipeline.Program
open DQ.Tests.TemporaryFolder

let private tiny =
    TinyRuns.model
    @ [
        "training.steps=6"
        "training.batch_size=4"
        "training.log_every=2"
        "training.validate_every=3"
        "training.sample_every=0"
        "training.initialization_batches=2"
        "evaluation.samples=2"
        "evaluation.ablation_images=0"
        "evaluation.atlas_patches=0"
    ]

let private variant sets = TinyRuns.variantOf (tiny @ sets)

let private train root sets : Train.TrainedRun =
    DQ.Tests.Pipeline.Contexts.run (quiet root) (Pipelines.model (variant sets))
    |> get

let private evaluate root sets =
    DQ.Tests.Pipeline.Contexts.run (quiet root) (Pipelines.evaluated (variant sets))
    |> get
    |> _.Run

let private dq root arguments =
    Program.run (arguments @ [ "--artifacts"; root ])

let private json (finished: Finished) =
    Expect.equal finished.ExitCode 0 finished.Errors
    nonNull (JsonNode.Parse finished.Output)

let private texts (node: JsonNode | null) = [ for item in (nonNull node).AsArray() -> (nonNull item).ToString() ]

let private listed root filters = [
    for run in
        (json (dq root ([ "runs"; "list"; "--json" ] @ filters))).["runs"]
        |> nonNull
        |> _.AsArray() -> (nonNull (nonNull run).["id"]).ToString()
]

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Runs" [
        test "runs are listed by status, kind, name, tag and what run.json says" {
            inFolder (fun root ->
                let a = train root [ "name=first"; "seed=1" ]
                let b = train root [ "name=second"; "seed=2"; "training.steps=9" ]
                Expect.equal (dq root [ "runs"; "tag"; a.Record.Id; "--add"; "good" ]).ExitCode 0 "tagged"

                for filters, expected in
                    [
                        [ "--where"; "training.steps>=9" ], [ b ]
                        [ "--where"; "seed<=1" ], [ a ]
                        [ "--where"; "seed!=1"; "--where"; "steps_done=9" ], [ b ]
                        [ "--status"; "completed"; "--name"; "FIRST" ], [ a ]
                        [ "--tag"; "good" ], [ a ]
                        [ "--kind"; "classify" ], []
                        [ "--where"; "model.quantizer.kind=depthwise"; "--kind"; "train" ], [ b; a ]
                    ] do
                    Expect.equal
                        (List.sort (listed root filters))
                        (List.sort [ for run in expected -> run.Record.Id ])
                        $"%A{filters}"

                for wrong in [ "steps"; "=4"; "training.stepps=4" ] do
                    let finished = dq root [ "runs"; "list"; "--where"; wrong ]
                    Expect.equal finished.ExitCode 2 wrong
                    Expect.stringContains finished.Errors "--where" wrong

                for option, wrong in [ "--status", "complted"; "--kind", "training" ] do
                    let finished = dq root [ "runs"; "list"; option; wrong ]
                    Expect.equal finished.ExitCode 2 wrong
                    Expect.stringContains finished.Errors $"{option} {wrong}: expected one of" wrong)
        }

        test "runs are compared by the settings that differ and their numbers" {
            inFolder (fun root ->
                let a = evaluate root [ "name=first" ]
                let b = train root [ "name=second"; "training.steps=9" ]

                let compared =
                    json (dq root [ "runs"; "compare"; a.Record.Id; b.Record.Id; "--json" ])

                let rows (key: string) (name: string) =
                    Map [
                        for row in (nonNull compared[key]).AsArray() ->
                            (nonNull (nonNull row).[name]).ToString(), texts (nonNull row).["values"]
                    ]

                let settings = rows "settings" "key"
                Expect.equal settings["training.steps"] [ "6"; "9" ] "a setting"
                Expect.equal settings["name"] [ "first"; "second" ] "the name"
                Expect.equal settings.Count 2 "no others"
                let numbers = rows "numbers" "name"
                Expect.equal numbers["steps"] [ "6/6"; "9/9" ] "steps"
                let reconstruction = numbers["reconstruction, nats/dim"]
                Expect.equal (List.last reconstruction) "–" "the second is not evaluated"
                Expect.notEqual (List.head reconstruction) "–" "the first is"

                let text = dq root [ "runs"; "compare"; a.Record.Id; b.Record.Id ]
                Expect.stringContains text.Output "training.steps" "a table"
                Expect.equal (dq root [ "runs"; "compare"; a.Record.Id ]).ExitCode 2 "one is not enough")
        }

        test "the configuration of a run finds it again" {
            inFolder (fun root ->
                let run = train root [ "name=again" ]
                let file = Path.Combine(root, "other-name.json")
                Expect.equal (dq root [ "runs"; "config"; run.Record.Id; "-o"; file ]).ExitCode 0 "written"
                let trained = json (dq root [ "train"; file; "--json" ])
                let first = nonNull ((nonNull trained["runs"]).AsArray()[0])
                Expect.equal ((nonNull first["id"]).ToString()) run.Record.Id "the same run"
                let printed = json (dq root [ "runs"; "config"; run.Record.Id; "--json" ])
                Expect.isTrue (JsonNode.DeepEquals(printed, run.Record.Config)) "the settings")
        }

        test "training goes on from the command line, and says which of its settings can't change" {
            inFolder (fun root ->
                let run = train root []
                let more = json (dq root [ "train"; run.Record.Id; "--steps"; "9"; "--json" ])
                let more = nonNull ((nonNull more["runs"]).AsArray()[0])
                Expect.equal ((nonNull more["steps_done"]).GetValue<int>()) 9 "steps"
                let parents = (nonNull more["parents"]).AsArray()

                Expect.exists
                    parents
                    (fun parent -> (nonNull (nonNull parent).["id"]).ToString() = run.Record.Id)
                    "parent"

                for arguments, exitCode in
                    [
                        [ "--steps"; "6" ], 2
                        [], 2
                        [ "--steps"; "9"; "--set"; "model.channels=16" ], 2
                        [ "--steps"; "9"; "--set"; "training.batch_size=0" ], 2
                    ] do
                    let finished = dq root ([ "train"; run.Record.Id ] @ arguments)
                    Expect.equal finished.ExitCode exitCode $"%A{arguments}: {finished.Errors}")
        }

        test "the numbers of training go to TensorBoard and to CSV" {
            inFolder (fun root ->
                let run = train root []
                let target = Path.Combine(root, "out")

                for format in [ "tensorboard"; "csv" ] do
                    let finished =
                        dq root [ "runs"; "export"; run.Record.Id; "--format"; format; "-o"; target ]

                    Expect.equal finished.ExitCode 0 finished.Errors

                let lines = [
                    for line in File.ReadAllLines(Path.Combine(run.Folder, RunLayout.Metrics)) ->
                        (nonNull (JsonNode.Parse line)).AsObject()
                ]

                let file =
                    Directory.GetFiles(Path.Combine(target, run.Record.Id), TensorBoardEvents.FileName + "*")
                    |> Array.exactlyOne

                let scalars = TensorBoardEventsTests.scalars (File.ReadAllBytes file)

                for line in lines do
                    let split = (nonNull line["split"]).ToString()
                    let key = "reconstruction_nats_per_dim"
                    let value = (nonNull line[key]).GetValue<float>()
                    let step = (nonNull line["step"]).GetValue<int64>()

                    Expect.exists
                        scalars
                        (fun (_, at, tag, found) -> (at, tag, found) = (step, $"{split}/{key}", float32 value))
                        $"{split} at {step}"

                Expect.exists scalars (fun (_, _, tag, _) -> tag = "perplexity/level1.codebook0") "codebooks"
                let csv = File.ReadAllLines(Path.Combine(target, $"{run.Record.Id}.csv"))
                Expect.hasLength csv (lines.Length + 1) "a row per line"
                Expect.allEqual [ for row in csv -> row.Split(',').Length ] (csv[0].Split(',').Length) "all as long")
        }

        test "runs are deleted, but not those that others began with or that somebody works on" {
            inFolder (fun root ->
                let first = train root []

                let more =
                    train root [ "training.steps=9"; $"training.continue_from={first.Record.Id}" ]

                let delete arguments =
                    dq root ([ "runs"; "delete" ] @ arguments)

                let isThere (run: Train.TrainedRun) = Directory.Exists run.Folder

                let refused = delete [ first.Record.Id ]
                Expect.equal (refused.ExitCode, isThere first) (3, true) "a parent"
                Expect.stringContains refused.Errors more.Record.Id "names the child"

                let dry = json (delete [ first.Record.Id; more.Record.Id; "--dry-run"; "--json" ])
                Expect.isGreaterThan ((nonNull dry["bytes"]).GetValue<int64>()) 0L "bytes"
                Expect.isTrue (isThere first && isThere more) "nothing went"

                do
                    use held = get (RunLock.Take more.Folder)
                    Expect.equal (delete [ more.Record.Id; "--force" ]).ExitCode 3 "somebody works on it"
                    Expect.isTrue (isThere more) "it stays"
                    ignore held

                Expect.equal (delete [ first.Record.Id; "--force" ]).ExitCode 0 "forced"
                Expect.equal (isThere first, isThere more) (false, true) "one went"
                Expect.equal (dq root [ "runs"; "tag"; more.Record.Id; "--add"; "x" ]).ExitCode 0 "tagged"
                Expect.equal (delete [ more.Record.Id ]).ExitCode 0 "the other"
                Expect.isFalse (isThere more) "it went"
                Expect.isEmpty (Annotations.Read root) "its tags too"
                let disk = json (dq root [ "runs"; "disk"; "--json" ])
                Expect.hasLength ((nonNull disk["folders"]).AsArray()) 1 "the data set stays")
        }
    ]
