/// Ctrl-C and SIGTERM while commands work: they end, say so by their exit code, and leave nothing half-written.
module DQ.Tests.Pipeline.SignalTests

open System
open System.Diagnostics
open System.IO
open Expecto
open DQ.Core.Artifacts
open DQ.Core.Codes
open DQ.Core.Images
open DQ.Tests.Pipeline
open DQ.Tests.Pipeline.World

/// A command that works for long, and what it says once it does.
type private Long = {
    Arguments: string list
    Says: string
    /// Where what it writes would be, besides the artifacts; whole or not there after the end.
    Output: string option
}

/// Long enough for any machine: nobody waits for the end.
let private manySteps = [
    "--set"
    "training.steps=100000000"
    "--set"
    "training.checkpoint_every=100000000"
]

let private manyImages = [ "--set"; "data.count=1000000" ]

/// Codes of many images as if they were encoded: those of one, again and again.
let private manyCodes world =
    let path = file world "many.dqc"

    if not (File.Exists path) then
        use codes = CodesFile.Open(file world "codes.dqc")
        let one = codes.Read 0
        let count = 100_000

        let header =
            DQ.Tests.Fixtures.altered codes.Header [ "Count", box count; "Names", box (Array.empty<string>) ]

        CodesFile.Write(path, header, Seq.replicate count one)

    path

/// One picture that takes long.
let private large world =
    let path = file world "large.png"

    if not (File.Exists path) then
        // noise, which no codec is soon done with
        let bytes = Array.zeroCreate (3 * 6000 * 6000)
        Random(0).NextBytes bytes
        ImageFile.WritePng(path, PixelImage(bytes, 3, 6000, 6000))

    path

/// By command; one that is missing here ends before a signal reaches it.
let private long world : Map<string, Long> =
    let at = file world

    let work arguments says = {
        Arguments = arguments
        Says = says
        Output = None
    }

    Map [
        "run", work ([ at "tiny.json" ] @ manySteps) "steps"
        "ingest", work ([ at "tiny.json" ] @ manyImages) "images"
        "train", work ([ at "tiny.json" ] @ manySteps) "steps"
        "evaluate", work ([ "tiny" ] @ manyImages) "images"
        "classify", work ([ at "classes.json" ] @ manySteps) "steps"
        "sweep", work ([ at "cells.json" ] @ manySteps) "steps"
        "progressive", work [ at "chain.json"; "--set"; "progressive.stages.large.steps=100000000" ] "steps"
        "prior", work ([ at "prior.json" ] @ manySteps) "steps"
        "density", work [ "--run"; "tiny"; "--steps"; "100000000" ] "of test"
        "bench", work [ at "tiny.json"; "--repetitions"; "100000000" ] "measuring"
        "reconstruct",
        {
            work [ large world; "--run"; "tiny"; "-o"; at "stopped" ] "reconstruct:" with
                Output = Some(at "stopped")
        }
        "encode",
        {
            work [ large world; "--run"; "tiny"; "-o"; at "stopped.dqc" ] "encode:" with
                Output = Some(at "stopped.dqc")
        }
        "decode", work [ manyCodes world; "-o"; at "stopped-pictures" ] "decode:"
        "compress",
        {
            work [ at "pictures"; large world; "-o"; at "stopped.dqz" ] "compress:" with
                Output = Some(at "stopped.dqz")
        }
        "find-rate", work [ at "tiny.json"; "--steps"; "100000"; "--to"; "2e-6" ] "steps"
        "serve", work [ "--urls"; "http://127.0.0.1:0" ] "http://"
    ]

/// Reads lines until one has this text; false where the process ended without.
let private saw (text: string) (readers: StreamReader list) (started: Process) =
    let rec until (reader: StreamReader) =
        match reader.ReadLine() with
        | null -> false
        | line -> line.Contains text || until reader

    let seen = [
        for reader in readers -> System.Threading.Tasks.Task.Run(fun () -> until reader)
    ]

    Program.waitFor started (fun () -> seen |> List.exists (fun one -> one.IsCompleted && one.Result))

let private halfWritten (folder: string) =
    if Directory.Exists folder then
        Directory.GetFiles(folder, "*.tmp", SearchOption.AllDirectories)
    else
        [||]

let private stop world (name: string) (long: Long) (signal: string, exitCode: int) =
    use started =
        Program.start (name :: long.Arguments @ [ "--artifacts"; world.Artifacts ])

    try
        let reached =
            saw long.Says [ started.StandardError; started.StandardOutput ] started

        let watch = Stopwatch.StartNew()
        Program.kill signal started

        if not (started.WaitForExit Program.patience) then
            failtestf "dq %s did not end on %s" name signal

        printfn $"dq {name}: ended {watch.Elapsed.TotalSeconds:F1} s after {signal}"
        Expect.isTrue reached $"dq {name} says '{long.Says}'"
        Expect.equal started.ExitCode exitCode $"dq {name} on {signal}"
    finally
        // none is left behind by a test that failed
        if not started.HasExited then
            started.Kill true

    Expect.isEmpty (halfWritten world.Artifacts) $"dq {name}: artifacts"
    Expect.isEmpty (halfWritten world.Folder) $"dq {name}: files"

    match long.Output with
    | Some file when File.Exists file -> failtestf "dq %s left %s" name file
    | _ -> ()

[<Tests>]
let tests =
    testSequenced
    <| testList "Pipeline.Signals" [
        test "every command that takes long ends on Ctrl-C or SIGTERM" {
            let world = world ()

            for index, (name, long) in Seq.indexed (Map.toSeq (long world)) do
                stop world name long (if index % 2 = 0 then "-INT", 130 else "-TERM", 143)
        }

        test "training takes both" {
            let world = world ()
            let train = (long world)["train"]
            stop world "train" train ("-INT", 130)
            stop world "train" train ("-TERM", 143)
        }

        test "a second signal ends a command at once, and a file that was being written never appears" {
            let world = world ()
            let long = (long world)["compress"]

            use started =
                Program.start ("compress" :: long.Arguments @ [ "--artifacts"; world.Artifacts ])

            try
                let reached =
                    saw long.Says [ started.StandardError; started.StandardOutput ] started

                Program.kill "-TERM" started
                Program.kill "-TERM" started
                Expect.isTrue (started.WaitForExit Program.patience) "ends"
                Expect.isTrue reached $"says '{long.Says}'"
                Expect.equal started.ExitCode 143 "by the signal"
            finally
                if not started.HasExited then
                    started.Kill true

            Expect.isEmpty (halfWritten world.Folder) "no temporary file"
            Expect.isFalse (File.Exists long.Output.Value) "no file"
        }

        test "every command either takes long, or is known to be over soon" {
            let known = long (world ())

            let soon =
                set [
                    "plan"
                    "sample"
                    "runs"
                    "datasets"
                    "completion"
                    "allocate"
                    "import"
                    "export"
                    "verify"
                    "report"
                    "decompress"
                    "info"
                    "doctor"
                    "schema"
                ]

            for leaf in leaves do
                let name = leaf.Path.Head
                Expect.isTrue (known.ContainsKey name || soon.Contains name) $"dq {name}: add it to one of them"
        }
    ]
