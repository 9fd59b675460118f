/// How long things take, printed: what is asked of them is in docs/site.md. Nothing here fails because a machine is busy.
module DQ.Tests.Reports.TimingTests

open System
open System.Diagnostics
open System.IO
open System.Threading.Tasks
open Expecto
open Microsoft.Playwright
open Microsoft.Extensions.Logging.Abstractions
open DQ.Core.Artifacts
open DQ.Reports.Catalog
open DQ.Reports.Metrics
open DQ.Reports.Urls
open DQ.Tests.TemporaryFolder
open DQ.Tests.Pipeline.Program
open DQ.Tests.Reports.Site
open DQ.Tests.Reports.Walk

/// What 20 pages see of a run until its process is stopped.
let private followed id (training: Process) (walk: Walk) =
    task {
        let sources () =
            walk.Page.Locator("dq-curves").First.GetAttributeAsync "data-sources"

        do! walk.Go $"runs/{id}"
        do! walk.Drawn 2
        let! status = walk.Text ".head .status"
        Expect.equal status "running" "it trains"
        do! walk.Page.GetByText("of training left").WaitForAsync()
        let! before = sources ()

        do!
            walk.Until(
                "newer numbers",
                fun () ->
                    task {
                        let! now = sources ()
                        return now <> before
                    }
            )

        let watch = Stopwatch.StartNew()

        for _ in 2..20 do
            let! page = walk.Page.Context.NewPageAsync()
            let! _ = page.GotoAsync walk.Page.Url
            ()

        let opened = watch.Elapsed.TotalSeconds
        watch.Restart()
        Expect.equal (fst (get walk.Site $"runs/{id}")) 200 "another visitor"
        let answered = watch.ElapsedMilliseconds
        watch.Restart()
        // the browser draws all 20 on the cores that train and serve
        do! walk.Page.GetByText("Log scale").ClickAsync()
        do! walk.Page.Locator(".toggle[aria-pressed=true]").WaitForAsync()

        printfn
            $"20 pages on a live run, opened in {opened:F1} s: a further page answers in {answered} ms, a click in {watch.ElapsedMilliseconds} ms, the site holds {walk.Site.MemoryBytes / 1048576L} MiB"

        use killed = Process.Start("/bin/kill", [ "-TERM"; string training.Id ])
        do! killed.WaitForExitAsync()

        do!
            walk.Until(
                "its end is seen",
                fun () ->
                    task {
                        let! now = walk.Text ".head .status"
                        return now = "interrupted"
                    }
            )
    }

let private milliseconds (act: unit -> unit) =
    let watch = Stopwatch.StartNew()
    act ()
    watch.ElapsedMilliseconds

let private fastest act =
    Seq.min [ for _ in 1..5 -> milliseconds act ]

[<Tests>]
let withoutBrowser =
    testSequenced
    <| testList "Reports.Timings" [
        test "a log of 100,000 lines" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, RunLayout.Metrics)

                File.WriteAllLines(
                    path,
                    [
                        for step in 1..100_000 ->
                            $"""{{"split":"train","step":{step},"images_seen":{step * 4},"seconds":{step}.5,"loss":1,"levels":[{{"perplexity":[3.5,4],"revived":[1,0]}}]}}"""
                    ]
                )

                let mutable sent = 0
                let read = milliseconds (fun () -> sent <- RunMetrics().Refresh(path).Length)
                Expect.isGreaterThan sent 0 "read"
                printfn $"100,000 metric lines read in {read} ms, {sent / 1024} KiB sent")
        }

        test "2,002 runs: looks, a search, and the site's answers" {
            let folder = manyRuns.Value

            use catalog =
                new RunCatalog(ArtifactFolder folder, TimeProvider.System, NullLogger<RunCatalog>.Instance)

            let look () = catalog.Refresh().Wait()
            let first, again = milliseconds look, fastest look

            let view =
                RunsView.Of(Query.Parse "?q=copy-0199&sort=-test_psnr_db", catalog.Current.Runs)

            let search = fastest (fun () -> view.Apply catalog.Current.Runs |> ignore)
            printfn $"2,002 runs: first look {first} ms, another {again} ms, search {search} ms"
            let watch = Stopwatch.StartNew()
            use site = new Site(folder, [])
            let listening = watch.ElapsedMilliseconds

            let answered path () =
                Expect.equal (fst (get site path)) 200 path

            let first, again = milliseconds (answered ""), fastest (answered "")
            let search = fastest (answered "?q=copy-0199")

            printfn
                $"site on 2,002 runs: listens after {listening} ms, very first page {first} ms, the page {again} ms, of a search {search} ms"
        }
    ]

[<Tests>]
let tests =
    testSequenced
    <| testList "Reports.Browser.Timings" [
        walking "2,002 runs: first paint, and a search" (fun () ->
            walkWith desktop manyRuns.Value (fun walk ->
                task {
                    // the very first page of a site that just started compiles it
                    do! walk.Go ""
                    do! walk.Go ""
                    let! painted = firstPaint walk

                    // a site just started compiles on the way
                    let! searches =
                        walk.Page.EvaluateAsync<float[]>
                            "async () => {
                               const search = (text) => new Promise((done, failed) => {
                                 setTimeout(() => failed(new Error(`waited for ${text}`)), 300000);
                                 const box = document.querySelector('input[type=search]');
                                 const began = performance.now();
                                 box.value = text;
                                 box.dispatchEvent(new Event('input', { bubbles: true }));
                                 const found = () => {
                                   const names = [...document.querySelectorAll('td.name .id')];
                                   return names.length === 10 && names.every((name) => name.title.includes(text));
                                 };
                                 const look = () => found() ? done(performance.now() - began) : requestAnimationFrame(look);
                                 look();
                               });
                               const times = [];
                               for (let i = 0; i < 30; i++) times.push(await search(`copy-01${10 + i}`));
                               return times;
                             }"

                    let median (times: float[]) = (Array.sort times)[times.Length / 2]
                    let searched = median searches[20..]

                    printfn
                        $"2,002 runs in the browser: first paint {painted:F0} ms, from a key to the rows found {searched:F0} ms, {median searches[..9]:F0} ms on a site just started (medians of 10; longest of 30: {Array.max searches:F0} ms)"

                    // keys that come faster than answers
                    let box = walk.Page.GetByRole AriaRole.Searchbox
                    do! box.FillAsync "copy"
                    do! box.PressSequentiallyAsync "-00188"

                    do!
                        walk.Until(
                            "the row",
                            fun () ->
                                task {
                                    let! rows = walk.Page.Locator("td.name").CountAsync()
                                    return rows = 1 && walk.Page.Url.Contains "copy-00188"
                                }
                        )

                    let! typed = box.InputValueAsync()
                    Expect.equal typed "copy-00188" "every key"

                    do!
                        walk.Page
                            .GetByRole(AriaRole.Link, PageGetByRoleOptions(Name = "Runs", Exact = true))
                            .ClickAsync()

                    do!
                        walk.Until(
                            "all runs",
                            fun () -> task { return! walk.Page.Locator("nav.pages").IsVisibleAsync() }
                        )

                    let! typed = box.InputValueAsync()
                    Expect.equal typed "" "of no search"
                }))

        walking "a run that trains is followed, by 20 pages at once" (fun () ->
            inFolderOfItsOwn (fun folder ->
                task {
                    let training =
                        start [
                            "train"
                            configFile.Value
                            "--variant"
                            "dq"
                            "--set"
                            "training.steps=1000000"
                            "--artifacts"
                            folder
                            "--quiet"
                        ]

                    try
                        let runs = Path.Combine(folder, RunLayout.Runs)

                        let logged () =
                            Directory.Exists runs
                            && Directory.GetFiles(runs, RunLayout.Metrics, SearchOption.AllDirectories)
                               |> Array.exists (fun file -> FileInfo(file).Length > 500L)

                        Expect.isTrue (waitFor training logged) "it trains"
                        let id = idOf (Directory.GetDirectories runs |> Array.exactlyOne)
                        do! walkWith desktop folder (followed id training)
                    finally
                        if not training.HasExited then
                            training.Kill()

                        finish training |> ignore
                }))

        walkInCopy
            "100,000 metric lines: first paint and curves"
            (fun folder ->
                let file =
                    Path.Combine(folder, RunLayout.Runs, runOf folder "dq", RunLayout.Metrics)

                let last = File.ReadAllLines file |> Array.findBack _.Contains("\"train\"")

                File.AppendAllLines(
                    file,
                    [ for step in 41..100_040 -> last.Replace("\"step\":40,", $"\"step\":{step},") ]
                ))
            (fun folder walk ->
                task {
                    let id = runOf folder "dq"
                    do! walk.Go ""
                    let watch = Stopwatch.StartNew()

                    let! _ =
                        walk.Page.GotoAsync(
                            string (Uri(walk.Site.Address, $"runs/{id}")),
                            PageGotoOptions(WaitUntil = WaitUntilState.Commit)
                        )

                    do! walk.Page.Locator(".headlines").WaitForAsync()
                    let painted = watch.ElapsedMilliseconds
                    do! walk.Drawn 3
                    let curves = watch.ElapsedMilliseconds
                    let! first = firstPaint walk

                    printfn
                        $"a run with 100,000 metric lines: first paint {first:F0} ms, headline numbers after {painted} ms, curves after {curves} ms"
                })
    ]
