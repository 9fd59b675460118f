/// Real runs made once by the real program, and the site as a process on them.
module DQ.Tests.Reports.Site

open System
open System.Diagnostics
open System.IO
open System.Net.Http
open System.Text.Json.Nodes
open System.Text.RegularExpressions
open DQ.Core.Artifacts
open DQ.Tests.Pipeline
open DQ.Tests.Pipeline.Program

let private config =
    """{ "name": "tiny", "data": { "count": 60, "image_size": 8 },
         "model": { "channels": 8, "residual_channels": 8, "coder_blocks": 1, "codes": [8, 8], "codebooks": 2, "code_width": 4 },
         "training": { "steps": 40, "batch_size": 4, "log_every": 2, "validate_every": 10, "checkpoint_every": 20,
                       "sample_every": 20, "samples": 4, "initialization_batches": 2 },
         "evaluation": { "samples": 4 } }"""

let private variants =
    """{ "extends": "base.json", "variants": { "dq": {}, "vq": { "model": { "quantizer": { "kind": "vector" } } } } }"""

/// Of the same runs: the sweep trains none of its own, the chain goes on from the first of them.
let private sweep =
    """{ "extends": "base.json",
         "sweep": { "grid": { "model.quantizer.kind": ["depthwise", "vector"] }, "trends": ["depthwise_below_vector"] } }"""

let private chain =
    """{ "extends": "base.json",
         "progressive": { "stages": { "size8": { "image_size": 8, "steps": 40 }, "size16": { "image_size": 16, "steps": 10 } },
                          "scratch": {} } }"""

/// Gone when the tests are.
let private sessionFolder =
    lazy
        (let folder = Directory.CreateTempSubdirectory("dq-site-tests-").FullName
         AppDomain.CurrentDomain.ProcessExit.Add(fun _ -> Directory.Delete(folder, true))
         folder)

let private written name (text: string) =
    File.WriteAllText(Path.Combine(sessionFolder.Value, "base.json"), config)
    let file = Path.Combine(sessionFolder.Value, name)
    File.WriteAllText(file, text)
    file

let configFile = lazy (written "tiny.json" variants)

let private dq (arguments: string list) =
    let finished = run arguments

    if finished.ExitCode <> 0 then
        failwith $"dq {arguments.Head}: {finished.Errors}"

/// Artifacts of `dq run`: two runs of 40 steps, evaluated. To read only; `inCopy` gives one to change.
let artifacts =
    lazy
        (let folder = Path.Combine(sessionFolder.Value, "artifacts")
         dq [ "run"; configFile.Value; "--artifacts"; folder; "--quiet" ]
         folder)

let runs artifacts =
    Directory.GetDirectories(Path.Combine(artifacts, RunLayout.Runs)) |> Array.sort

let idOf (folder: string) = nonNull (Path.GetFileName folder)

/// The id of the run of a variant.
let runOf artifacts (variant: string) =
    runs artifacts
    |> Array.map idOf
    |> Array.find (fun id -> id.Contains $"tiny-{variant}-")

let rec copyFolder (source: string) (target: string) =
    Directory.CreateDirectory target |> ignore

    for file in Directory.GetFiles source do
        File.Copy(file, Path.Combine(target, idOf file))

    for folder in Directory.GetDirectories source do
        copyFolder folder (Path.Combine(target, idOf folder))

/// Runs a test on a copy of the artifacts.
let inCopy (test: string -> 'a) =
    DQ.Tests.TemporaryFolder.inFolder (fun folder ->
        copyFolder artifacts.Value folder
        test folder)

/// Copies of a run under other ids, without its checkpoints and pictures.
let multiply artifacts (source: string) count =
    for i in 1..count do
        let folder = Path.Combine(artifacts, RunLayout.Runs, $"2026-01-01-copy-{i:D5}")
        Directory.CreateDirectory folder |> ignore

        for name in [ RunLayout.Run; RunLayout.Evaluation; RunLayout.Metrics ] do
            File.Copy(Path.Combine(source, name), Path.Combine(folder, name))

/// The same with a sweep of both runs, and a chain that goes on from one of them. To read only.
let sweepAndChain =
    lazy
        (let folder = Path.Combine(sessionFolder.Value, "sweep-and-chain")
         copyFolder artifacts.Value folder
         dq [ "sweep"; written "sweep.json" sweep; "--artifacts"; folder; "--quiet" ]
         dq [ "progressive"; written "chain.json" chain; "--artifacts"; folder; "--quiet" ]
         folder)

/// Two runs and 2,000 copies of one. To read only.
let manyRuns =
    lazy
        (let folder = Path.Combine(sessionFolder.Value, "many")
         copyFolder artifacts.Value folder
         multiply folder (Path.Combine(folder, RunLayout.Runs, runOf folder "dq")) 2000
         folder)

let private program = built "src.Reports" "dq-reports.dll"

let startSite (arguments: string list) =
    let start =
        ProcessStartInfo("dotnet", program :: arguments, RedirectStandardOutput = true, RedirectStandardError = true)

    nonNull (Process.Start start)

/// A site that listens.
type Site(folder: string, arguments: string list) =
    let started =
        startSite ([ "--artifacts"; folder; "--urls"; "http://127.0.0.1:0" ] @ arguments)

    let address =
        match started.StandardOutput.ReadLine() with
        | null -> failwith $"the site did not start: {started.StandardError.ReadToEnd()}"
        | line -> Uri line

    // what nobody reads would stop it once a pipe is full
    do
        for said in [ started.StandardOutput; started.StandardError ] do
            said.BaseStream.CopyToAsync Stream.Null |> ignore

    /// Without a token, below the path of a proxy where it has one.
    member _.Address = Uri(address.GetLeftPart UriPartial.Path)
    /// As printed, with its token where it has one.
    member _.Printed = address

    member _.MemoryBytes =
        started.Refresh()
        started.WorkingSet64

    member _.HasExited = started.HasExited

    interface IDisposable with
        member _.Dispose() =
            started.Kill()
            started.WaitForExit()
            started.Dispose()

/// Where it answers, what it says.
let client =
    new HttpClient(new HttpClientHandler(AllowAutoRedirect = false, UseCookies = false))

let get (site: Site) (path: string) =
    use response = client.GetAsync(Uri(site.Address, path)).GetAwaiter().GetResult()
    int response.StatusCode, response.Content.ReadAsStringAsync().GetAwaiter().GetResult()

/// Text without tags.
let visible (html: string) = Regex.Replace(html, "<[^>]*>", " ")

/// Changes a JSON file of a run.
let private rewrite (path: string) (change: JsonObject -> unit) =
    let tree = (nonNull (JsonNode.Parse(File.ReadAllText path))).AsObject()
    change tree
    File.WriteAllText(path, tree.ToJsonString())

let private child (name: string) (tree: JsonObject) = (nonNull tree[name]).AsObject()

let private number (value: float) : JsonNode = JsonValue.Create value

/// A run with other numbers of its test split; its losses are shifted by a tenth of the seed.
let private withSeed (folder: string) (seed: int) (numbers: (string * float) list) =
    rewrite (Path.Combine(folder, RunLayout.Run)) (fun run ->
        run["seed"] <- JsonValue.Create seed
        (child "config" run)["seed"] <- JsonValue.Create seed)

    rewrite (Path.Combine(folder, RunLayout.Evaluation)) (fun evaluation ->
        let test = evaluation |> child "splits" |> child "test"

        for name, value in numbers do
            test[name] <- number value)

    let log = Path.Combine(folder, RunLayout.Metrics)

    File.WriteAllLines(
        log,
        [
            for line in File.ReadAllLines log do
                let tree = (nonNull (JsonNode.Parse line)).AsObject()

                match tree["loss"] with
                | null -> ()
                | loss -> tree["loss"] <- number (loss.GetValue<float>() + 0.1 * float seed)

                tree.ToJsonString()
        ]
    )

/// Three seeds of both runs. On the test split, nats of `dq` are lower by far; PSNR scatters more than its means differ.
/// To read only.
let seeds =
    lazy
        (let folder = Path.Combine(sessionFolder.Value, "seeds")
         copyFolder artifacts.Value folder

         for variant, nats, psnr in [ "dq", 2.0, [ 10.0; 14.0; 18.0 ]; "vq", 3.0, [ 12.0; 14.0; 19.0 ] ] do
             let first = Path.Combine(folder, RunLayout.Runs, runOf folder variant)

             for seed in 0..2 do
                 let run =
                     if seed = 0 then
                         first
                     else
                         Path.Combine(folder, RunLayout.Runs, $"2026-01-0{seed}-tiny-{variant}-5eed{seed}")

                 if seed > 0 then
                     Directory.CreateDirectory run |> ignore

                     for name in [ RunLayout.Run; RunLayout.Evaluation; RunLayout.Metrics ] do
                         File.Copy(Path.Combine(first, name), Path.Combine(run, name))

                 withSeed run seed [
                     "reconstruction_nats_per_dim", nats + 0.1 * float seed
                     "psnr_db", psnr[seed]
                 ]

         folder)
