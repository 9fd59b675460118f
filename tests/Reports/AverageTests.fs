/// Seeds as one: means, deviations, and what is said of their order.
module DQ.Tests.Reports.AverageTests

open System
open System.Text.Json
open AngleSharp.Dom
open Expecto
open DQ.Core.Artifacts
open DQ.Reports.Catalog
open DQ.Reports.Charts
open DQ.Reports.Pages
open DQ.Reports.Statistics
open DQ.Reports.Sweeps
open DQ.Reports.Urls
open DQ.Tests.Reports.Rendering
open DQ.Tests.Reports.Site

let private sample (values: float list) =
    nonNull (Sample.Of [ for value in values -> Nullable value ])

let private metric key = nonNull (RunMetric.Find key)

let private nats = "test_reconstruction_nats_per_dim"

let private query (averaging: string) (runs: RunEntry seq) =
    "compare"
    + Query().With(Links.Names.Run, [ for run in runs -> run.Id ]).With(Links.Names.Average, [ averaging ]).ToString()

[<Tests>]
let tests =
    testSequenced
    <| testList "Reports.Averages" [
        test "a sample has the deviation with n − 1, and none for one number" {
            let of' = sample [ 1.0; 2.0; 4.0; nan ]
            Expect.equal of'.Count 3 "what is no number is not counted"
            Expect.floatClose Accuracy.high of'.Mean (7.0 / 3.0) "mean"
            Expect.floatClose Accuracy.high of'.Deviation.Value (sqrt (7.0 / 3.0)) "deviation"
            Expect.isFalse (sample [ 5.0 ]).Deviation.HasValue "one"
            Expect.isNull (Sample.Of [ Nullable nan; Nullable() ]) "none"
        }

        test "Student's t has the two-sided critical values of the tables" {
            for t, freedom, p in
                [
                    12.7062047, 1.0, 0.05
                    4.30265273, 2.0, 0.05
                    2.228138852, 10.0, 0.05
                    3.169272673, 10.0, 0.01
                    2.042272456, 30.0, 0.05
                    1.962339081, 1000.0, 0.05
                    0.0, 5.0, 1.0
                ] do
                Expect.floatClose
                    { absolute = 1e-8; relative = 1e-7 }
                    (WelchTest.TwoSided(t, freedom))
                    p
                    $"{t} at {freedom}"
        }

        test "Welch's test as worked by hand" {
            let first = Sample(4, 2.0, Nullable 1.0)
            let second = Sample(4, 4.0, Nullable 2.0)
            // v = 1/4 and 1; t = −2/√1.25; ν = 1.25² / (0.0625/3 + 1/3)
            let expected =
                WelchTest.TwoSided(2.0 / sqrt 1.25, 1.25 * 1.25 / (0.0625 / 3.0 + 1.0 / 3.0))

            Expect.floatClose Accuracy.high (WelchTest.PValue(first, second).Value) expected "p"
            Expect.isFalse (WelchTest.Separates(first, second)) "two deviations apart, four runs each"
            Expect.isTrue (WelchTest.Separates(Sample(9, 2.0, Nullable 1.0), Sample(9, 4.0, Nullable 2.0))) "nine each"
            Expect.isFalse (WelchTest.Separates(first, Sample(1, 99.0, Nullable()))) "a single run"
            Expect.isTrue (WelchTest.Separates(sample [ 1.0; 1.0 ], sample [ 2.0; 2.0 ])) "no scatter"
            Expect.isFalse (WelchTest.Separates(sample [ 1.0; 1.0 ], sample [ 1.0; 1.0 ])) "the same"
        }

        test "runs are one where they differ in the setting averaged over only" {
            withContext seeds.Value (fun _ catalog ->
                let of' setting = [
                    for average in RunAverage.Of(catalog.Current.Runs, setting) -> average.Name, average.Runs.Count
                ]

                Expect.equal (List.sort (of' "seed")) [ "tiny-dq", 3; "tiny-vq", 3 ] "by quantizer"
                Expect.hasLength (of' "training.steps") 6 "seeds differ too"

                Expect.equal (List.map snd (of' "model.quantizer.kind")) [ 2; 2; 2 ] "each seed of both quantizers")
        }

        test "the best has a star only where it is separated from every other one" {
            withContext seeds.Value (fun _ catalog ->
                let averages =
                    RunAverage.Of(catalog.Current.Runs, "seed") |> Seq.sortBy _.Name |> Array.ofSeq

                let stars key (averages: RunAverage[]) =
                    let row = AveragedMetric.Of(metric key, averages)
                    List.ofSeq row.Best, row.Undecided

                Expect.equal (stars nats averages) ([ true; false ], false) "2.1 ± 0.1 and 3.1 ± 0.1"
                Expect.equal (stars "test_psnr_db" averages) ([ false; false ], true) "14 ± 4 and 15 ± 3.6"

                Expect.equal
                    (stars "test_code_rate_uniform_bits_per_dim" averages)
                    ([ false; false ], false)
                    "no end is better"

                let single = [| averages[0]; RunAverage("alone", [| averages[1].Runs[0] |]) |]

                Expect.equal (stars nats single) ([ false; false ], true) "nothing is known of the scatter of one")
        }

        test "the table of runs has a row for each average, sorted by means, with n" {
            withContext seeds.Value (fun context _ ->
                goTo context $"?avg=seed&sort=-{nats}&cols={nats},test_psnr_db,setting:seed"
                let page = render<Runs> context []
                let texts selector = [ for one in all selector page -> one.TextContent.Trim() ]
                Expect.equal (texts "td.name > a") [ "tiny-vq"; "tiny-dq" ] "higher first"

                let cells = [
                    for cell in all "tbody td.number" page -> (cell.TextContent.Trim().Split "★ " |> Array.last)
                ]

                Expect.equal (List.take 2 cells) [ "3"; "3.1000 ± 0.1000" ] "n, and mean with deviation"

                Expect.equal cells[3] "0; 1; 2" "the values averaged over"
                Expect.hasLength (all ".best" page) 1 "a star where separated"
                let heads = texts "thead th.number .unit"

                Expect.equal
                    [ for head in heads -> head.Contains "not separated" ]
                    [ false; true; false ]
                    "said of the others"

                let link = nonNull ((all "td.name > a" page).Head.GetAttribute "href")
                Expect.stringContains link "avg=seed" "compared as one"
                Expect.hasLength (Query.Parse(link).All Links.Names.Run) 3 "of all three")
        }

        test "a comparison has a column, a colour and a curve for each average" {
            withContext seeds.Value (fun context catalog ->
                goTo context (query "seed" catalog.Current.Runs)
                let page = render<Compare> context []
                Expect.hasLength (all "#numbers thead th.number" page) 2 "columns"

                let places =
                    [ for swatch in all ".swatch" page -> swatch.GetAttribute "data-place" ]
                    |> List.countBy id

                Expect.equal (List.map snd places) [ 3; 3 ] "colours"
                eventually page (fun () -> Expect.isNonEmpty (all "dq-curves" page) "curves")

                let sources =
                    JsonDocument.Parse(nonNull ((all "dq-curves" page).Head.GetAttribute "data-sources")).RootElement

                let groups = [
                    for source in sources.EnumerateArray() -> source.GetProperty("group").GetInt32()
                ]

                Expect.equal (List.countBy id groups) [ 0, 3; 1, 3 ] "series"
                goTo context (query "" catalog.Current.Runs)
                eventually page (fun () -> Expect.hasLength (all "#numbers thead th.number" page) 6 "single runs"))
        }

        test "more runs than fit are said" {
            withContext manyRuns.Value (fun context catalog ->
                goTo context (query "" (Seq.take 30 catalog.Current.Runs))
                let page = render<Compare> context []
                Expect.stringContains (all ".problem" page).Head.TextContent "24 of the 30" "runs"
                Expect.stringContains (all "option[disabled]" page).Head.TextContent "1,4" "and those to add")
        }

        test "a sweep's table has a best quantizer only where seeds separate it" {
            let row seeds mean deviation =
                SweepRow(
                    Settings = Nodes.JsonObject(),
                    Loss = "loss",
                    Cells = [||],
                    Completed = seeds,
                    Metrics = readOnlyDict [ "loss", SweepStatistic(mean, deviation) ],
                    Published = readOnlyDict<string, PublishedValue> []
                )

            let said (rows: SweepRow list) =
                let line = SweepLine([||], [| for row in rows -> row |], "loss")
                [ for method in 0 .. rows.Length - 1 -> line.IsBest method ], line.IsUndecided

            let spread = Nullable 0.1
            Expect.equal (said [ row 3 1.0 spread; row 3 2.0 spread ]) ([ true; false ], false) "ten deviations apart"
            Expect.equal (said [ row 3 2.0 spread; row 3 1.95 spread ]) ([ false; false ], true) "half of one"
            Expect.equal (said [ row 1 1.0 (Nullable()); row 1 2.0 (Nullable()) ]) ([ false; false ], true) "one seed"
            Expect.equal (said [ row 3 1.0 spread ]) ([ false ], false) "nothing to compare with"
        }

        test "averages as CSV have mean, deviation and count" {
            withContext seeds.Value (fun _ catalog ->
                let lines = RunsCsv.Of(RunAverage.Of(catalog.Current.Runs, "seed")).Split('\n')

                let head = List.ofArray (lines[0].Split ',')
                let at name = List.findIndex ((=) name) head

                let row =
                    lines |> Array.find (fun line -> line.StartsWith "tiny-dq,") |> _.Split(',')

                Expect.floatClose Accuracy.high (float row[at nats]) 2.1 "mean"
                Expect.floatClose Accuracy.medium (float row[at $"{nats}_deviation"]) 0.1 "deviation"
                Expect.equal row[at $"{nats}_n"] "3" "count")
        }
    ]
