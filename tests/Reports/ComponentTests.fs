/// Components by themselves, on real runs.
module DQ.Tests.Reports.ComponentTests

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open AngleSharp.Dom
open Bunit
open Expecto
open DQ.Core.Artifacts
open DQ.Reports.Catalog
open DQ.Reports.Chains
open DQ.Reports.Charts
open DQ.Reports.Components
open DQ.Reports.Hosting
open DQ.Reports.Metrics
open DQ.Reports.Pages
open DQ.Reports.Sweeps
open DQ.Reports.Urls
open DQ.Tests.TemporaryFolder
open DQ.Tests.Reports.Site
open Microsoft.AspNetCore.Components
open Microsoft.Extensions.DependencyInjection
open Microsoft.Extensions.Logging.Abstractions
open MudBlazor.Services

/// A clock whose timers ring when the test says so.
type private HandClock() =
    inherit TimeProvider()
    let waiting = Queue<unit -> unit>()

    override _.CreateTimer(callback, state, _, _) =
        waiting.Enqueue(fun () -> callback.Invoke state)

        {
            new ITimer with
                member _.Change(_, _) = true
                member _.Dispose() = ()
                member _.DisposeAsync() = ValueTask.CompletedTask
        }

    member _.Ring() =
        while waiting.Count > 0 do
            waiting.Dequeue () ()

/// The site's services on an artifacts folder.
let private contextOf (clock: TimeProvider) folder =
    let context = new BunitContext()
    context.JSInterop.Mode <- JSRuntimeMode.Loose

    context.Services.AddMudServices(fun options -> options.PopoverOptions.CheckForPopoverProvider <- false)
    |> ignore

    context.Services.AddSingleton(ArtifactFolder folder) |> ignore

    context.Services.AddSingleton(SiteSettings(folder, SiteSettings.DefaultUrls, "", [||], null))
    |> ignore

    context.Services.AddSingleton clock |> ignore
    context.Services.AddSingleton<RecordCache>() |> ignore
    context.Services.AddSingleton<MetricsStore>() |> ignore

    let catalog =
        new RunCatalog(ArtifactFolder folder, TimeProvider.System, NullLogger<RunCatalog>.Instance)

    catalog.Refresh().Wait()
    context.Services.AddSingleton catalog |> ignore
    context.Renderer.SetRendererInfo(RendererInfo("Server", true))
    context, catalog

let private withClock clock folder (act: BunitContext -> RunCatalog -> unit) =
    let context, catalog = contextOf clock folder

    try
        act context catalog
    finally
        // some of MudBlazor's services know no other way
        context.DisposeAsync().AsTask().Wait()

let private withContext folder act =
    withClock TimeProvider.System folder act

let private render<'c when 'c :> IComponent and 'c: not null>
    (context: BunitContext)
    (values: (string * (obj | null)) list)
    : IRenderedComponent<'c> =
    let fill =
        Action<ComponentParameterCollectionBuilder<'c>>(fun parameters ->
            for name, value in values do
                parameters.TryAdd(name, value) |> ignore)

    context.Render<'c> fill

/// Elements as they are rendered now.
let private all (selector: string) (rendered: IRenderedComponent<'c>) : IElement list = [
    for element in rendered.Nodes.QuerySelectorAll selector -> element
]

let private goTo (context: BunitContext) (path: string) =
    context.Services.GetRequiredService<NavigationManager>().NavigateTo path

/// Until the page has rendered what its URL asks for.
let private eventually (rendered: IRenderedComponent<'c>) (check: unit -> unit) =
    rendered.WaitForAssertion(Action check, DQ.Tests.Pipeline.Program.patience)

[<Tests>]
let tests =
    testSequenced
    <| testList "Reports.Components" [
        test "an empty folder says how to make a run" {
            inFolder (fun folder ->
                withContext folder (fun context _ ->
                    let page = render<Runs> context []
                    Expect.stringContains page.Markup "No runs yet" "said"
                    Expect.stringContains page.Markup "configs/quickstart.json" "the command"))
        }

        test "what codes cost under a prior stands in its run's table" {
            inCopy (fun folder ->
                let id = runOf folder "dq"

                let rates =
                    SplitPrior(
                        Images = 1000L,
                        DimensionsPerImage = 3072L,
                        CodesPerImage = 64L,
                        CodeRateUniformBitsPerDim = 0.9375,
                        CodeRateStaticBitsPerDim = 0.8869,
                        CodeRateNetworkBitsPerDim = 0.2920,
                        CodeRateNetworkFloatBitsPerDim = 0.2921,
                        Levels = [| LevelPrior(0, 8, 8, [| CodebookPrior(0, 128, 7.0, 6.5, 2.25, 2.25) |]) |]
                    )

                ArtifactJson.Write(
                    System.IO.Path.Combine(folder, RunLayout.Runs, id, RunLayout.Prior),
                    PriorRecord(
                        Autoencoder = "an-autoencoder",
                        AutoencoderCheckpoint = "step-1.safetensors",
                        Dataset = "images",
                        ImageHeight = 32,
                        ImageWidth = 32,
                        Checkpoint = "step-2.safetensors",
                        Step = 2L,
                        Parameters = 10L,
                        Fingerprint = String('a', 64),
                        FrequencyImages = 5000L,
                        Splits = Dictionary<string, SplitPrior>(dict [ "test", rates ])
                    )
                )

                withContext folder (fun context catalog ->
                    let table = render<PriorTable> context [ "Run", box catalog.Current.ById[id] ]

                    let rows = [
                        for row in all "tbody tr" table -> [ for cell in row.Children -> cell.TextContent ]
                    ]

                    Expect.equal
                        rows
                        [
                            [ "test, 1,000 images"; "all"; "0.9375"; "0.8869"; "0.2920"; "bits/dim" ]
                            [ ""; "level 0"; "7.0000"; "6.5000"; "2.2500"; "bits a code" ]
                        ]
                        "rates"

                    Expect.equal [ for link in all "a" table -> link.TextContent ] [ "an-autoencoder" ] "whose codes"))
        }

        test "the table of runs follows its URL" {
            withContext artifacts.Value (fun context catalog ->
                goTo context "?sort=name&method=vector&cols=test_psnr_db,parameters"
                let page = render<Runs> context []
                Expect.equal [ for row in all "td.name > a" page -> row.TextContent ] [ "tiny-vq" ] "filtered"
                let heads = [ for head in all "thead th.number a" page -> head.TextContent ]
                Expect.equal heads [ "PSNR"; "parameters" ] "columns"
                goTo context "?sort=-name"

                eventually page (fun () ->
                    let names = [ for row in all "td.name > a" page -> row.TextContent ]
                    Expect.equal names [ "tiny-vq"; "tiny-dq" ] "sorted"
                    Expect.equal (all "th[aria-sort=descending]" page).Length 1 "said to screen readers")

                goTo context "?q=nothing-like-it"
                eventually page (fun () -> Expect.stringContains page.Markup "No run fits" "nothing found")
                Expect.hasLength catalog.Current.Runs 2 "still there")
        }

        test "what is typed into the search box is asked once, and only a text from elsewhere replaces it" {
            let clock = HandClock()

            withClock clock artifacts.Value (fun context _ ->
                let asked = ResizeArray<string>()

                let parameters text = [
                    "Text", box<string> text
                    "Label", box "Search"
                    "Changed", box (Action<string> asked.Add)
                ]

                let page = render<SearchBox> context (parameters "")
                let typed (text: string) = (all "input" page).Head.Input text

                let given text =
                    page.Render(fun builder ->
                        for name, value in parameters text do
                            builder.TryAdd(name, value) |> ignore)

                let shown () =
                    (all "input" page).Head.GetAttribute "value"

                typed "c"
                typed "co"
                given "" // an answer to something older
                Expect.isEmpty asked "a question takes a pause"
                clock.Ring()

                eventually page (fun () ->
                    Expect.sequenceEqual asked [ "co" ] "keys that come together are one question")

                given "co"
                Expect.equal (shown ()) "" "the text is the browser's"
                given "vq"
                Expect.equal (shown ()) "vq" "from a link")
        }

        test "names and notes with markup are text" {
            inCopy (fun folder ->
                let id = runOf folder "dq"
                let hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>"
                Annotations.Change(folder, id, _.Noted(hostile)) |> ignore
                let file = IO.Path.Combine(folder, RunLayout.Runs, id, RunLayout.Run)
                let record = ArtifactJson.Read<RunRecord> file
                ArtifactJson.Write(file, record.Ended(record.Status, hostile, record.UpdatedUtc))

                IO.File.WriteAllText(
                    file,
                    (IO.File.ReadAllText file).Replace("\"name\": \"tiny\"", "\"name\": \"<b>tiny</b>\"")
                )

                withContext folder (fun context catalog ->
                    let page = render<Runs> context []
                    Expect.hasLength (all "script, img, td b" page) 0 "nothing of it is markup"
                    let run = catalog.Current.ById[id]
                    let one = render<Run> context [ "Id", box id ]
                    Expect.hasLength (all "script, img, h1 b" one) 0 "nor here"
                    Expect.stringContains (all "h1" one).Head.TextContent "<b>" "shown as it is"
                    let spec = RatePlane.Of([| run |], [||], "test")
                    let chart = render<Chart> context [ "Spec", box spec ]
                    Expect.hasLength (all "b" chart) 0 "nor in a chart"))
        }

        test "headline numbers stand with unit and meaning, validation and test apart" {
            withContext artifacts.Value (fun context catalog ->
                let run = catalog.Current.ById[runOf artifacts.Value "dq"]
                let numbers = render<HeadlineNumbers> context [ "Run", box run ]
                Expect.equal (all ".split" numbers).Length 2 "two splits"

                for unit in [ "nats/dim"; "bits/dim"; "dB" ] do
                    Expect.stringContains numbers.Markup unit unit

                let sentences = [ for one in all ".split:first-child .meaning" numbers -> one.TextContent ]
                Expect.hasLength sentences 5 "of each number, once"

                let again = [
                    for one in all ".split:last-child dt" numbers -> nonNull (one.GetAttribute "title")
                ]

                Expect.equal again sentences "the same on hover")
        }

        test "a comparison marks the best and shows only settings that differ" {
            withContext artifacts.Value (fun context catalog ->

                let runs = [|
                    for variant in [ "dq"; "vq" ] -> catalog.Current.ById[runOf artifacts.Value variant]
                |]

                let table =
                    render<MetricsTable> context [ "Runs", box (runs :> RunEntry seq |> Array.ofSeq) ]

                for row in ComparedMetric.Of runs do
                    Expect.isLessThanOrEqual (Seq.length (Seq.filter id row.Best)) 1 row.Metric.Key

                Expect.isGreaterThan (all ".best" table).Length 3 "marked"
                let differences = render<DifferencesTable> context [ "Runs", box runs ]
                Expect.equal (all "tbody tr" differences).Length 1 "the quantizer")
        }

        test "runs are grouped by sweep and by chain, with links; the others come last" {
            withContext sweepAndChain.Value (fun context catalog ->
                let groups kind =
                    goTo context $"?group={kind}"
                    let page = render<Runs> context []

                    [
                        for head in all "tr.group th" page ->
                            (nonNull (head.QuerySelector "span")).TextContent,
                            head.QuerySelector "a:not(.compare)"
                            |> Option.ofObj
                            |> Option.bind (fun link -> Option.ofObj (link.GetAttribute "href"))
                            |> Option.map (fun link -> (link.Split '/')[0])
                    ]

                Expect.hasLength catalog.Current.Runs 4 "two of the sweep, two more of the chain"
                Expect.equal (groups "sweep") [ "2", Some "sweeps"; "2", None ] "by sweep"
                Expect.equal (groups "chain") [ "3", Some "chains"; "1", None ] "by chain"
                goTo context "")
        }

        test "a sweep's page has its table, what was looked for, and a plot" {
            withContext sweepAndChain.Value (fun context catalog ->
                let sweep =
                    SweepEntry.All(context.Services.GetRequiredService<RecordCache>())
                    |> Seq.exactlyOne

                let page = render<Sweep> context [ "Id", box sweep.Id ]
                let rows = all "section[class~=block] table" page |> List.head

                let cells = [
                    for cell in rows.QuerySelectorAll "tbody td.number > span:first-child" -> cell.TextContent.Trim()
                ]

                let measured = (nonNull (RunMetric.Find "test_reconstruction_nats_per_dim"))

                for variant in [ "dq"; "vq" ] do
                    let run = catalog.Current.ById[runOf sweepAndChain.Value variant]
                    Expect.contains cells (measured.Text run) $"{variant} as its own page has it"

                let across (row: IElement) = row.Children.Length
                let head = rows.QuerySelector "thead tr" |> nonNull |> across

                for row in rows.QuerySelectorAll "tbody tr" do
                    Expect.equal (across row) head "a cell for every head"

                Expect.hasLength (all ".verdict" page) 1 "what was looked for"
                Expect.hasLength (all "dq-chart" page) 2 "trend and plane")
        }

        test "a chain's page has all stages on one axis, sizes marked, scratch beside" {
            withContext sweepAndChain.Value (fun context _ ->
                let chain =
                    ChainEntry.All(context.Services.GetRequiredService<RecordCache>())
                    |> Seq.exactlyOne

                let record = nonNull chain.Record
                let plot = ChainPlot.Of(record, ChainPlot.Work)
                let marks = List.ofSeq (nonNull plot.Marks)
                Expect.equal [ for mark in marks -> mark.Name ] [ "8 px"; "16 px" ] "sizes"
                Expect.equal [ for line in plot.Series -> line.Dashed ] [ false; true ] "the chain, and from scratch"
                let places = [ for point in plot.Series[0].Points -> point[0].Value ]
                Expect.equal places (List.sort places) "along one axis"

                Expect.isGreaterThan (List.last places) marks[1].X "both stages are on it"

                let page = render<Chain> context [ "Id", box chain.Id ]

                Expect.equal
                    (all "tbody" page |> List.map (fun body -> body.Children.Length))
                    [ 3; 3 ]
                    "stages and runs"

                let listed = render<Chains> context []
                Expect.hasLength (all "tbody tr" listed) 1 "one chain, not once more by lineage")
        }

        test "the same images stand side by side at every step" {
            withContext artifacts.Value (fun context catalog ->
                let pictures =
                    render<RunPictures> context [
                        "Run", box catalog.Current.ById[runOf artifacts.Value "dq"]
                        "Query", box (Query.Parse "?mode=steps&order=worst")
                        "Set", box (Action<string, string | null>(fun _ _ -> ()))
                    ]

                let heads = [ for head in all "thead th" pictures -> head.TextContent ]
                Expect.equal heads [ "Original"; "step 20"; "step 40" ] "columns"
                Expect.hasLength (all "tbody tr" pictures) 4 "images"
                Expect.hasLength (all "tbody .framed" pictures) 12 "each at each")
        }

        test "codebooks are read again when their file changes, and not at every rendering" {
            inCopy (fun folder ->
                withContext folder (fun context catalog ->
                    let id = runOf folder "dq"
                    let tensors = IO.Path.Combine(folder, RunLayout.Runs, id, CodebooksRecord.Tensors)

                    let parameters query = [
                        "Run", box catalog.Current.ById[id]
                        "Query", box (Query.Parse query)
                        "Set", box (Action<string, string | null>(fun _ _ -> ()))
                    ]

                    let page = render<RunCodebooks> context (parameters "")

                    let renderedAgain query =
                        page.Render(fun builder ->
                            for name, value in parameters query do
                                builder.TryAdd(name, value) |> ignore)

                    let problems () = (all ".notice.error" page).Length
                    Expect.equal (problems ()) 0 "readable"
                    let written = IO.File.GetLastWriteTimeUtc tensors
                    // damage that nobody who goes by length and time can see
                    IO.File.WriteAllBytes(tensors, Array.zeroCreate (int (IO.FileInfo tensors).Length))
                    IO.File.SetLastWriteTimeUtc(tensors, written)
                    renderedAgain "codebook=1"
                    Expect.equal (problems ()) 0 "as it was read before"
                    IO.File.SetLastWriteTimeUtc(tensors, written.AddSeconds 1.0)
                    renderedAgain "codebook=1"
                    Expect.equal (problems ()) 1 "read again"
                    renderedAgain "codebook=1"
                    Expect.equal (problems ()) 1 "what can't be read stays said"))
        }

        test "runs of one name are told apart" {
            withContext artifacts.Value (fun _ catalog ->
                let run variant =
                    catalog.Current.ById[runOf artifacts.Value variant]

                let dq = run "dq"

                let namesake =
                    RunEntry(Id = "2026-01-01-tiny-dq-0123", Record = dq.Record, Status = dq.Status, Version = 0L)

                let labels = List.ofSeq (RunLabels.Of [| dq; run "vq"; namesake |])
                let ending = Array.last (dq.Id.Split '-')
                Expect.equal labels [ $"tiny-dq · {ending}"; "tiny-vq"; "tiny-dq · 0123" ] "where needed only")
        }

        test "a part of an axis is one of two numbers in order, on the axis it was chosen on" {
            let zoom (query: string) =
                (CurveSettings.Of(Query.Parse query)).Zoom

            Expect.equal (zoom "?zoom=step,100,400") "100,400" "as said"
            Expect.equal (zoom "?x=seconds&zoom=seconds,1.5,2") "1.5,2" "of time"

            for other in
                [
                    "?x=seconds&zoom=step,100,400"
                    "?zoom=step,400,100"
                    "?zoom=step,NaN,5"
                    "?zoom=step,0,1e400"
                    "?zoom=step,-1e400,5"
                    "?zoom=step,1"
                    "?zoom=<script>"
                ] do
                Expect.isNull (zoom other) other
        }

        test "many long names go without the words that all of them begin with" {
            withContext artifacts.Value (fun _ catalog ->
                let of' variant =
                    let run = catalog.Current.Runs[0]
                    RunEntry(Id = $"x-{variant}", Status = run.Status, Version = 0L)

                let labels variants =
                    List.ofSeq (RunLabels.Of [| for variant in variants -> of' variant |])

                Expect.equal
                    (labels [
                        "codes-32-codebooks-1-vector"
                        "codes-32-codebooks-3-vector"
                        "codes-64-codebooks-1-vector"
                    ])
                    [
                        "codes-32-codebooks-1-vector"
                        "codes-32-codebooks-3-vector"
                        "codes-64-codebooks-1-vector"
                    ]
                    "shorter"

                Expect.equal (labels [ "a"; "b"; "c" ]) [ "x-a"; "x-b"; "x-c" ] "short ones stay")
        }

        test "nobody is best but among runs on the same images" {
            inCopy (fun folder ->
                let file =
                    System.IO.Path.Combine(folder, RunLayout.Runs, runOf folder "vq", RunLayout.Run)

                let dataset =
                    System.IO.Directory.GetDirectories(System.IO.Path.Combine(folder, "datasets"))[0]
                    |> idOf

                System.IO.File.WriteAllText(
                    file,
                    System.IO.File.ReadAllText(file).Replace(dataset, "other-0123456789ab")
                )

                withContext folder (fun _ catalog ->
                    let runs = [|
                        for variant in [ "dq"; "vq" ] -> catalog.Current.ById[runOf folder variant]
                    |]

                    for row in ComparedMetric.Of runs do
                        if row.Metric.Key <> "images_per_second" then
                            Expect.allEqual row.Best false row.Metric.Key))
        }

        test "a sparkline of nothing draws nothing; of numbers a line with words" {
            withContext artifacts.Value (fun context _ ->

                let drawn (values: float[]) =
                    render<Sparkline> context [ "Values", box values ]

                Expect.hasLength (all "svg" (drawn [| 1.0 |])) 0 "one number"
                let line = (all "svg" (drawn [| 3.0; 2.0; 2.5 |])).Head
                Expect.stringContains (line.GetAttribute "aria-label" |> nonNull) "from 3.0000 to 2.5000" "said")
        }

        test "curves are planned by what a log has, one per level" {
            let names = [|
                "loss"
                "perplexity.0.0"
                "perplexity.0.1"
                "perplexity.1.0"
                "learning_rate"
            |]

            let titles = [ for plan in CurvePlan.For names -> plan.Title ]

            Expect.equal
                titles
                [
                    "Loss"
                    "Perplexity, level 0 (bottom)"
                    "Perplexity, level 1 (top)"
                    "Learning rate"
                ]
                "in order"

            let links = Links.CompareRuns [ "a&b"; "c d" ]

            Expect.equal
                (List.ofSeq (Query.Parse(links).All Links.Names.Run))
                [ "a&b"; "c d" ]
                "links say what they mean"
        }
    ]
