/// What the site reads, and what it does with files that are damaged, huge or hostile.
module DQ.Tests.Reports.CatalogTests

open System
open System.IO
open System.Diagnostics
open System.Text.Json
open System.Text.Json.Nodes
open Expecto
open DQ.Core.Artifacts
open DQ.Reports.Catalog
open DQ.Reports.Configuration
open DQ.Reports.Metrics
open DQ.Reports.Text
open DQ.Reports.Urls
open DQ.Tests.TemporaryFolder
open DQ.Tests.Reports.Site
open Microsoft.Extensions.Logging.Abstractions

let private catalogOf folder =
    let catalog =
        new RunCatalog(ArtifactFolder folder, TimeProvider.System, NullLogger<RunCatalog>.Instance)

    catalog.Refresh().Wait()
    catalog

let private writeLines (path: string) (lines: seq<string>) = File.WriteAllLines(path, lines)

let private line (step: int) (loss: float) =
    $"""{{"split":"train","step":{step},"images_seen":{step * 4},"seconds":{step}.5,"loss":{loss},"levels":[{{"perplexity":[3.5,4],"revived":[1,0]}}]}}"""

let private series (metrics: RunMetrics) name =
    metrics.Look(fun tables -> List.ofSeq (tables[RunMetrics.Train].Means name))

[<Tests>]
let tests =
    testSequenced
    <| testList "Reports.Catalog" [
        test "real runs are read whole: status, evaluation, names, headline numbers" {
            use catalog = catalogOf artifacts.Value
            let run = catalog.Current.ById[runOf artifacts.Value "dq"]
            Expect.equal run.Status RunStatus.Completed "status"
            Expect.equal (run.Name, run.Method, run.Dataset) ("tiny-dq", "depthwise", "dead_leaves") "names"
            Expect.isEmpty run.Problems "nothing is wrong"

            for split in [ "validation"; "test" ] do
                let number key =
                    (nonNull (RunMetric.Find $"{split}_{key}")).Value.Invoke(run).Value

                Expect.floatClose
                    Accuracy.high
                    (number "total_empirical_bits_per_dim")
                    (number "reconstruction_bits_per_dim" + number "code_rate_empirical_bits_per_dim")
                    "total is the sum"
        }

        test "one damaged run says why; the others are as they were" {
            inCopy (fun folder ->
                let broken = Path.Combine(folder, RunLayout.Runs, runOf folder "dq")
                File.WriteAllText(Path.Combine(broken, RunLayout.Run), "{ \"schema\": 99 }")
                use catalog = catalogOf folder
                let run = catalog.Current.ById[runOf folder "dq"]
                Expect.equal run.Status RunEntry.Damaged "damaged"
                Expect.stringContains run.Problems[0] "schema version 99" "the reason"
                Expect.isFalse (run.Problems[0].Contains folder) "no path of this machine"
                Expect.equal catalog.Current.ById[runOf folder "vq"].Status RunStatus.Completed "the other")
        }

        test "a change of any file that pages show is seen, one of another is not" {
            inCopy (fun folder ->
                use catalog = catalogOf folder
                let id = runOf folder "dq"

                let changedBy (name: string) =
                    let before = catalog.Current.ById[id].Version
                    File.AppendAllText(Path.Combine(folder, RunLayout.Runs, id, name), " ")
                    catalog.Refresh().Wait()
                    catalog.Current.ById[id].Version <> before

                for name in
                    [
                        RunLayout.Run
                        RunLayout.Evaluation
                        RunLayout.Metrics
                        RunLayout.Events
                        RunLayout.Codebooks
                        RunLayout.Density
                        RunLayout.Prior
                        RunLayout.Classification
                        RunLayout.Allocation
                        $"{RunLayout.Images}/{RunLayout.Samples}"
                    ] do
                    Expect.isTrue (changedBy name) name

                Expect.isFalse (changedBy "notes.txt") "not ours")
        }

        test "a change of tags is seen, one process at a time, and runs stay as they were" {
            inCopy (fun folder ->
                use catalog = catalogOf folder
                let id = runOf folder "dq"

                let before =
                    File.ReadAllBytes(Path.Combine(folder, RunLayout.Runs, id, RunLayout.Run))

                Threading.Tasks.Parallel.For(
                    0,
                    20,
                    fun i -> Annotations.Change(folder, id, _.Tagged([ $"t{i}" ], [])) |> ignore
                )
                |> ignore

                catalog.Refresh().Wait()
                Expect.hasLength catalog.Current.ById[id].Annotation.Tags 20 "all twenty"

                let after =
                    File.ReadAllBytes(Path.Combine(folder, RunLayout.Runs, id, RunLayout.Run))

                Expect.equal after before "the run itself"
                Expect.throwsT<ArgumentException> (fun () -> RunAnnotation().Tagged([ "a,b" ], []) |> ignore) "a comma")
        }

        test "dq runs tag, note and archive write what the site reads" {
            inCopy (fun folder ->
                let dq arguments =
                    let finished = DQ.Tests.Pipeline.Program.run (arguments @ [ "--artifacts"; folder ])
                    Expect.equal finished.ExitCode 0 finished.Errors
                    finished.Output

                dq [ "runs"; "tag"; "tiny-dq"; "--add"; "good"; "first" ] |> ignore
                dq [ "runs"; "note"; "tiny-dq"; "--text"; "<b>bold</b>" ] |> ignore
                dq [ "runs"; "archive"; "tiny-vq" ] |> ignore
                use catalog = catalogOf folder
                let said = catalog.Current.ById[runOf folder "dq"].Annotation
                Expect.equal (List.ofSeq said.Tags) [ "first"; "good" ] "sorted"
                Expect.equal said.Note "<b>bold</b>" "as it is"

                let listed =
                    RunsView.Of(Query.Parse "", catalog.Current.Runs).Apply(catalog.Current.Runs)

                Expect.equal [ for run in listed -> run.Name ] [ "tiny-dq" ] "the archived one is left out"
                Expect.isFalse ((dq [ "runs"; "list" ]).Contains "tiny-vq") "here too"
                Expect.stringContains (dq [ "runs"; "list"; "--archived" ]) "tiny-vq" "unless asked for")
        }

        test "no name leads outside of the folder" {
            inCopy (fun folder ->
                let secret =
                    Path.Combine((nonNull (Directory.GetParent folder)).FullName, "secret.png")

                let runs = Path.Combine(folder, "runs")
                File.WriteAllText(secret, "secret")

                try
                    File.CreateSymbolicLink(Path.Combine(runs, "link.png"), secret) |> ignore
                    Directory.CreateSymbolicLink(Path.Combine(runs, "out"), "/etc") |> ignore
                    File.WriteAllText(Path.Combine(runs, ".hidden"), "")
                    let resolver = ArtifactFolder folder

                    for name in
                        [
                            "../secret.png"
                            "runs/../../secret.png"
                            "runs/link.png"
                            "runs/out/passwd"
                            "runs/.hidden"
                            "/etc/passwd"
                            "runs//x"
                            "runs\\..\\x"
                            "."
                            ""
                        ] do
                        Expect.isNull (resolver.Resolve(ReadOnlySpan [| name |])) name

                    Expect.isNotNull
                        (resolver.Resolve(ReadOnlySpan [| "runs"; runOf folder "dq"; RunLayout.Run |]))
                        "an ordinary one"
                finally
                    File.Delete secret)
        }

        test "a log grows, is cut and goes on; what is no line is counted and skipped" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, RunLayout.Metrics)
                let metrics = RunMetrics()
                writeLines path [ for i in 1..3 -> line i (float i) ]
                let first = metrics.Refresh path
                Expect.equal (series metrics "loss") [ 1.0; 2.0; 3.0 ] "read"
                Expect.isTrue (obj.ReferenceEquals(metrics.Refresh path, first)) "the same bytes while nothing changes"
                File.AppendAllText(path, line 4 4.0)
                Expect.hasLength (metrics.Refresh path |> fun _ -> series metrics "loss") 3 "half a line is none yet"

                File.AppendAllText(
                    path,
                    "\n" + String('x', 3_000_000) + "\n[1]\n{\"split\":7}\n\n" + line 5 5.0 + "\n"
                )

                let json = Text.Encoding.UTF8.GetString(metrics.Refresh path)
                Expect.equal (series metrics "loss") [ 1.0; 2.0; 3.0; 4.0; 5.0 ] "the good ones"
                Expect.stringContains json "\"lines_skipped\":3" "the others"
                // another process took the run up from a checkpoint, and was faster than before
                writeLines path [ for i in 1..9 -> line i (10.0 * float i) ]
                metrics.Refresh path |> ignore
                Expect.equal (series metrics "loss") [ for i in 1..9 -> 10.0 * float i ] "anew"
                Expect.equal (series metrics "perplexity.0.1") [ for _ in 1..9 -> 4.0 ] "per codebook")
        }

        test "100,000 lines in bounded memory keep their mean and their spikes" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, RunLayout.Metrics)

                writeLines path [ for i in 1..100_000 -> line i (if i = 77_777 then 1000.0 else 1.0) ]

                let metrics = RunMetrics()
                metrics.Refresh path |> ignore

                let rows, highest =
                    metrics.Look(fun tables ->
                        tables[RunMetrics.Train].Rows, Seq.max (tables[RunMetrics.Train].Highest "loss"))

                Expect.isLessThanOrEqual rows RunMetrics.Rows "down-sampled"
                Expect.equal highest 1000.0 "the spike")
        }

        test "a line with thousands of names costs no more than a few" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, RunLayout.Metrics)

                let names first =
                    String.Join(",", [ for i in first .. first + 4000 -> $"\"n{i}\":1" ])

                writeLines path [
                    for i in 1..50 -> $$"""{"split":"train","step":{{i}},{{names (i * 5000)}}}"""
                ]

                let metrics = RunMetrics()
                metrics.Refresh path |> ignore
                let kept = metrics.Look(fun tables -> tables[RunMetrics.Train].Count)
                Expect.isLessThan kept 200 "bounded")
        }

        test "a named pipe in place of a log is not waited for" {
            inCopy (fun folder ->
                let id = runOf folder "dq"
                let path = Path.Combine(folder, RunLayout.Runs, id, RunLayout.Metrics)
                File.Delete path
                Process.Start("mkfifo", path).WaitForExit()

                let read =
                    Threading.Tasks.Task.Run(fun () -> MetricsStore(ArtifactFolder folder).Json id)

                Expect.isTrue (read.Wait DQ.Tests.Pipeline.Program.patience) "answers")
        }

        test "2,002 runs are searched and sorted; a look at unchanged ones changes nothing" {
            use catalog = catalogOf manyRuns.Value
            let before = catalog.Current

            let view = RunsView.Of(Query.Parse "?q=copy-0199&sort=-test_psnr_db", before.Runs)

            Expect.hasLength (view.Apply before.Runs) 10 "01990 to 01999"
            catalog.Refresh().Wait()
            Expect.isTrue (obj.ReferenceEquals(catalog.Current, before)) "nothing was read again"
        }

        test "what differs from the defaults is marked, and nothing else" {
            use catalog = catalogOf artifacts.Value
            let run = catalog.Current.ById[runOf artifacts.Value "vq"]
            let values = ConfigKeys.Of((nonNull run.Record).Config)
            let differing = Set.ofSeq (values |> Seq.filter _.Differs |> Seq.map _.Key)
            Expect.isTrue (differing.Contains "model.quantizer.kind") "said in the variant"
            Expect.isTrue (differing.Contains "training.steps") "said in the file"
            Expect.isFalse (differing.Contains "model.quantizer.epsilon") "1e-05 is the default"
            Expect.isFalse (differing.Contains "training.learning_rate") "left alone"
            let other = catalog.Current.ById[runOf artifacts.Value "dq"]

            let differences =
                ConfigDifference.Of [| (nonNull run.Record).Config; (nonNull other.Record).Config |]

            Expect.equal [ for one in differences -> one.Key ] [ "model.quantizer.kind" ] "only what differs"
        }

        test "settings are columns: shown as they are, sorted by what they are" {
            use catalog = catalogOf artifacts.Value
            let runs = catalog.Current.Runs

            let run = Seq.head runs

            let view =
                RunsView.Of(Query.Parse "?cols=setting:model.codes,setting:training.learning_rate,nothing", runs)

            let texts = [ for column in view.Columns -> column.Text run ]
            Expect.equal texts [ "8, 8"; "0.0002" ] "a list and a number; what is no column is left out"
            let codes = nonNull (RunMetric.Find "setting:model.codes")
            Expect.equal (codes.Value.Invoke run) (System.Nullable 16.0) "a list by its sum"
            let missing = nonNull (RunMetric.Find "setting:no.such.key")
            Expect.equal (missing.Text run) "–" "nothing"
            Expect.isFalse (missing.Value.Invoke(run).HasValue) "nothing to sort by"
        }

        test "a table that is asked for no columns has those that some run has a number for" {
            use catalog = catalogOf artifacts.Value
            let keys runs = [ for column in RunsView.Of(Query.Parse "", runs).Columns -> column.Key ]

            Expect.equal
                (keys catalog.Current.Runs)
                [
                    "test_reconstruction_nats_per_dim"
                    "test_total_empirical_bits_per_dim"
                    "test_code_rate_empirical_bits_per_dim"
                    "test_psnr_db"
                    "test_perplexity"
                ]
                "autoencoders: no accuracy"

            Expect.isNonEmpty (keys []) "no runs yet"
        }

        test "images from a folder go by its name, classifiers without codes by none" {
            use catalog = catalogOf artifacts.Value
            let run = catalog.Current.Runs[0]

            let changed (config: string) stage =
                let record =
                    nonNull (JsonSerializer.SerializeToNode(run.Record, ArtifactJson.Options))

                record["config"] <- JsonNode.Parse config
                record["stage"] <- JsonValue.Create(stage: string)

                RunEntry(
                    Id = run.Id,
                    Status = run.Status,
                    Version = 0L,
                    Record = record.Deserialize<RunRecord>(ArtifactJson.Options)
                )

            let digits =
                changed """{ "data": { "source": "idx", "path": "/data/mnist/" } }""" "train"

            Expect.equal digits.Dataset "mnist" "the folder"

            let classifier =
                changed
                    """{ "data": { "source": "cifar10", "path": "x" }, "model": { "quantizer": { "kind": "vector" }, "likelihood": { "kind": "logistic_mixture" } }, "classification": { "mode": "one_stage", "quantized": "none" } }"""
                    "classify"

            Expect.equal
                (classifier.Dataset, classifier.Method, classifier.Likelihood)
                ("cifar10", "none", "")
                "it reconstructs nothing"
        }

        test "numbers are written to the digits they deserve, deviations to the same" {
            Expect.equal
                [
                    for value in [ 1234.6; 12.345; 0.12345; 0.00669; 0.00031; 0.00001234 ] -> Show.Number value
                ]
                [ "1,235"; "12.35"; "0.1235"; "0.00669"; "0.00031"; "1.23e-5" ]
                "numbers"

            Expect.equal (Show.Spread(0.2763, 0.00128)) "0.2763 ± 0.0013" "a deviation"
            Expect.equal (Show.Spread(0.2763, System.Nullable())) "0.2763" "of one"
        }

        testProperty "queries are read as they were written"
        <| fun (pairs: (FsCheck.NonEmptyString * FsCheck.NonEmptyString) list) ->
            let query =
                (Query(), pairs)
                ||> List.fold (fun query (name, value) -> query.With(name.Get, [| value.Get |]))

            let again = Query.Parse("http://x/y" + string query)
            pairs |> List.forall (fun (name, _) -> again[name.Get] = query[name.Get])

        test "a table of runs holds no formulas" {
            use catalog = catalogOf artifacts.Value
            let run = catalog.Current.Runs[0]

            let hostile =
                RunEntry(Id = "=cmd|' /C calc'!A0,\"", Status = run.Status, Version = 0L)

            let csv = RunsCsv.Of [ run; hostile ]
            Expect.stringContains csv "\"'=cmd|' /C calc'!A0,\"\"\"" "quoted twice over"
            Expect.hasLength (csv.TrimEnd().Split '\n') 3 "a line each"
        }
    ]
