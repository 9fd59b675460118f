/// Walks in real Chromium on real runs.
module DQ.Tests.Reports.BrowserTests

open System
open System.Collections.Generic
open System.IO
open System.Threading.Tasks
open Expecto
open Microsoft.Playwright
open DQ.Core.Artifacts
open DQ.Tests.Pipeline.Program
open DQ.Tests.Reports.Site
open DQ.Tests.Reports.Walk

/// Drags with the mouse over the middle third of the first curve.
let private dragAcross (walk: Walk) =
    task {
        let canvas = walk.Page.Locator("dq-curves canvas").First
        do! canvas.ScrollIntoViewIfNeededAsync()
        let! at = canvas.BoundingBoxAsync()
        let at = nonNull at
        let y = at.Y + at.Height / 2f
        do! walk.Page.Mouse.MoveAsync(at.X + at.Width / 3f, y)
        do! walk.Page.Mouse.DownAsync()
        do! walk.Page.Mouse.MoveAsync(at.X + at.Width / 2f, y)
        do! walk.Page.Mouse.MoveAsync(at.X + at.Width * 2f / 3f, y)
        do! walk.Page.Mouse.UpAsync()
    }

/// The ends of the first curve's horizontal axis, as drawn.
let private axisOfFirst (walk: Walk) =
    walk.Page.EvaluateAsync<float[]>
        "() => document.querySelector('dq-curves').chart.getModel().getComponent('xAxis').axis.scale.getExtent()"

[<Tests>]
let tests =
    testSequenced
    <| testList "Reports.Browser" [
        walk "from the table to a run, its curves, settings and back, all in the URL" desktop (fun _ walk ->
            task {
                do! walk.Go ""
                do! walk.Accessible "table of runs"
                let search = walk.Page.GetByRole(AriaRole.Searchbox)
                do! search.FillAsync "vq"
                do! walk.Until("search in the URL", fun () -> Task.FromResult(walk.Page.Url.Contains "q=vq"))

                do!
                    walk.Until(
                        "one row",
                        fun () ->
                            task {
                                let! rows = walk.Page.Locator("td.name").CountAsync()
                                return rows = 1
                            }
                    )

                do! walk.Page.Locator("td.name > a").ClickAsync()
                do! walk.Drawn 3
                let! title = walk.Text "h1"
                Expect.equal title "tiny-vq" "the run"
                do! walk.Accessible "a run"
                do! walk.Page.GetByText("Log scale").ClickAsync()
                do! walk.Until("the axis in the URL", fun () -> Task.FromResult(walk.Page.Url.Contains "log=1"))
                do! walk.Page.GetByText("Time", PageGetByTextOptions(Exact = true)).ClickAsync()
                do! walk.Until("the axis", fun () -> Task.FromResult(walk.Page.Url.Contains "x=seconds"))
                let address = walk.Page.Url
                let! _ = walk.Page.ReloadAsync()
                do! walk.Page.Locator("[aria-pressed=true]").First.WaitForAsync()
                let! pressed = walk.Page.Locator("[aria-pressed=true]").AllInnerTextsAsync()
                Expect.equal (List.ofSeq pressed) [ "Time"; "Log scale" ] "the same after loading again"
                Expect.equal walk.Page.Url address "and so is the URL"
                do! walk.Page.Locator(".tools button", PageLocatorOptions(HasText = "CSV")).First.WaitForAsync()

                let! download =
                    walk.Page.RunAndWaitForDownloadAsync(fun () ->
                        walk.Page.Locator(".tools button", PageLocatorOptions(HasText = "CSV")).First.ClickAsync())

                let! path = download.PathAsync()
                let lines = File.ReadAllLines path
                Expect.equal lines[0] "series,seconds,Loss,lowest,highest" "the head"
                Expect.hasLength lines 21 "20 lines of the log"

                let! drawing =
                    walk.Page.RunAndWaitForDownloadAsync(fun () ->
                        walk.Page.Locator(".tools button", PageLocatorOptions(HasText = "SVG")).First.ClickAsync())

                let! path = drawing.PathAsync()
                Expect.stringContains (File.ReadAllText path) "<svg" "a drawing"
                do! walk.Page.GetByText("Settings", PageGetByTextOptions(Exact = true)).ClickAsync()

                do!
                    walk.Page
                        .Locator("tr.differs", PageLocatorOptions(HasText = "model.quantizer.kind"))
                        .WaitForAsync()

                do! walk.Accessible "settings"
                let! _ = walk.Page.GoBackAsync()
                do! walk.Drawn 3
            })

        walk "a part of a curve is looked at: all curves follow, and the address has it" desktop (fun folder walk ->
            task {
                let id = runOf folder "dq"
                do! walk.Go $"runs/{id}"
                do! walk.Drawn 3
                let curve n = walk.Page.Locator("dq-curves").Nth n
                let zoom n = (curve n).GetAttributeAsync "data-zoom"
                do! (curve 0).Locator("canvas").First.ScrollIntoViewIfNeededAsync()
                let! drawing = (curve 0).Locator("canvas").First.BoundingBoxAsync()
                let drawing = nonNull drawing
                let at share = drawing.X + drawing.Width * share
                let height = drawing.Y + drawing.Height / 2f
                do! walk.Page.Mouse.MoveAsync(at 0.4f, height)
                do! walk.Page.Mouse.DownAsync()
                do! walk.Page.Mouse.MoveAsync(at 0.7f, height, MouseMoveOptions(Steps = 5))
                do! walk.Page.Mouse.UpAsync()
                do! walk.Until("the zoom in the URL", fun () -> Task.FromResult(walk.Page.Url.Contains "zoom=step"))
                do! (walk.Page.Locator("dq-curves[data-zoom]").Nth 2).WaitForAsync()
                let! first = zoom 0
                let ends = (nonNull first).Split ',' |> Array.map float
                Expect.isGreaterThan ends[0] 5.0 "of 2 to 40 steps"
                Expect.isLessThan ends[1] 35.0 "of 2 to 40 steps"
                let! _ = walk.Page.ReloadAsync()
                do! walk.Drawn 3
                let! again = zoom 1
                Expect.equal again first "another one after loading again"
                do! walk.Page.GetByText("Images", PageGetByTextOptions(Exact = true)).ClickAsync()
                do! (walk.Page.Locator("dq-curves:not([data-zoom])").Nth 2).WaitForAsync()
                do! walk.Page.GetByText("Steps", PageGetByTextOptions(Exact = true)).ClickAsync()
                do! (walk.Page.Locator("dq-curves[data-zoom]").Nth 2).WaitForAsync()
                do! walk.Page.Locator(".controls").GetByText("Reset zoom").ClickAsync()
                do! walk.Until("all of it", fun () -> Task.FromResult(not (walk.Page.Url.Contains "zoom=")))
                do! (walk.Page.Locator("dq-curves:not([data-zoom])").Nth 2).WaitForAsync()
            })

        walk "a run switched off in a legend is off in all curves, also after loading again" desktop (fun folder walk ->
            task {
                let first, second = runOf folder "dq", runOf folder "vq"
                do! walk.Go $"compare?run={first}&run={second}"
                do! walk.Drawn 2

                // the legends of charts drawn, those in view anew, after a change of the first where there is one
                let legends (change: string) =
                    walk.Page.EvaluateAsync<bool[]>
                        $"() => {{
                           document.querySelector('dq-curves').scrollIntoView();
                           const charts = [...document.querySelectorAll('dq-curves[data-drawn]:not(.empty) .canvas')].map((one) => echarts.getInstanceByDom(one));
                           {change}
                           return charts.map((chart) => chart?.getOption().legend?.[0]?.selected['tiny-vq']).filter((shown) => shown !== undefined);
                         }}"

                let! before = legends ""
                Expect.isNonEmpty before "charts of both runs"
                Expect.allEqual before true "shown"

                let! _ =
                    legends "charts[0].dispatchAction({ type: 'legendToggleSelect', name: 'tiny-vq' });"

                let off () =
                    walk.Until(
                        "it is off",
                        fun () ->
                            task {
                                let! now = legends ""
                                let off = now |> Seq.filter not |> Seq.length
                                return off >= 2 && walk.Page.Url.Contains $"off={second}"
                            }
                    )

                do! off ()
                let! _ = walk.Page.ReloadAsync()
                do! walk.Drawn 2
                do! off ()
            })

        walk "pictures, codebooks and their code maps" desktop (fun folder walk ->
            task {
                let id = runOf folder "dq"
                do! walk.Go $"runs/{id}/reconstructions"
                do! walk.Page.Locator("dq-slider").First.WaitForAsync()
                do! walk.Accessible "pictures"
                let handle = walk.Page.Locator("dq-slider input").First
                do! handle.FocusAsync()
                do! walk.Page.Keyboard.PressAsync "ArrowRight"
                let! at = handle.InputValueAsync()
                Expect.equal at "51" "the handle moves with the keyboard"
                do! walk.Go $"runs/{id}/reconstructions?step=20"
                let! said = walk.Page.Locator("p.lead").First.InnerTextAsync()
                Expect.stringContains said "step 20" "a step of training"
                do! walk.Go $"runs/{id}/codebooks"
                do! walk.Drawn 5

                let! titles =
                    walk.Page.Locator("dq-curves").EvaluateAllAsync<string[]>
                        "all => all.map(one => one.dataset.title)"

                Expect.equal titles [| "Dead codes"; "Revived codes"; "Perplexity" |] "over time"
                let! empty = walk.Page.Locator("dq-curves.empty").CountAsync()
                Expect.equal empty 0 "each has numbers"
                do! walk.Accessible "codebooks"
                // the tab key stops at one cell, arrows reach the others
                do! walk.Page.Locator(".map a[tabindex='0']").FocusAsync()
                do! walk.Page.Keyboard.PressAsync "ArrowRight"
                do! walk.Page.Keyboard.PressAsync "ArrowDown"
                let! reached = walk.Page.EvaluateAsync<string> "document.activeElement.ariaLabel"
                Expect.stringStarts reached "row 1, column 1" "one right, one down"
                do! walk.Page.Locator(".map a").First.ClickAsync()
                do! walk.Until("the code in the URL", fun () -> Task.FromResult(walk.Page.Url.Contains "code="))
                do! walk.Page.Locator(".code h3").WaitForAsync()
                do! walk.Page.Locator(".places .same").First.WaitForAsync()
            })

        walk "two runs compared" desktop (fun _ walk ->
            task {
                do! walk.Go ""
                do! walk.Page.Locator("td.pick input").First.CheckAsync()
                do! walk.Page.Locator("td.pick input").Nth(1).CheckAsync()
                do! walk.Until("ticks in the URL", fun () -> Task.FromResult(walk.Page.Url.Split("pick=").Length = 3))
                let! _ = walk.Page.ReloadAsync()
                do! walk.Page.Locator("td.pick input:checked").Nth(1).WaitForAsync()
                do! walk.Page.GetByText("Compare 2").ClickAsync()
                do! walk.Page.Locator(".best").First.WaitForAsync()
                do! walk.Drawn 3
                let! keys = walk.Page.Locator("#settings tbody th").AllInnerTextsAsync()
                Expect.equal (List.ofSeq keys) [ "model.quantizer.kind" ] "only what differs"
                let! table = saved walk (walk.Page.Locator("#numbers dq-csv button"))
                Expect.stringStarts table[0] "Metric,tiny-" "names of columns, and nothing of the button"
                do! walk.Accessible "comparison"
            })

        walk "a link followed before the page is live loads its page" desktop (fun folder walk ->
            task {
                let live = TaskCompletionSource()

                let! _ =
                    walk.Page.RouteAsync(
                        "**/_blazor/negotiate*",
                        fun route ->
                            task {
                                do! live.Task
                                do! route.ContinueAsync()
                            }
                            :> Task
                    )

                let! _ = walk.Page.GotoAsync(string walk.Site.Address)
                let id = runOf folder "dq"

                let! request =
                    walk.Page.RunAndWaitForRequestAsync(
                        (fun () -> walk.Page.Locator($"td.name a[href$='{id}']").First.ClickAsync()),
                        fun request -> request.Url.EndsWith id
                    )

                Expect.isTrue
                    request.IsNavigationRequest
                    "the browser loads it: nothing that a starting circuit could give up"

                live.SetResult()
                do! walk.Drawn 3
                let! title = walk.Text "h1"
                Expect.equal title "tiny-dq" "the run"
            })

        walking "a sweep and a chain, from their lists to their plots" (fun () ->
            walkWith desktop sweepAndChain.Value (fun walk ->
                task {
                    do! walk.Go "sweeps"
                    do! walk.Page.Locator("tbody a").ClickAsync()
                    do! walk.Drawn 2
                    do! walk.Accessible "sweep"
                    do! walk.Page.GetByLabel("Metric").SelectOptionAsync "psnr_db" :> Task

                    do!
                        walk.Until(
                            "the metric in the URL",
                            fun () -> Task.FromResult(walk.Page.Url.Contains "metric=psnr_db")
                        )

                    do! walk.Go "chains"
                    do! walk.Page.Locator("tbody a").ClickAsync()
                    do! walk.Drawn 2
                    do! walk.Accessible "chain"
                    do! walk.Page.GetByText("Time", PageGetByTextOptions(Exact = true)).ClickAsync()

                    do!
                        walk.Until(
                            "the axis in the URL",
                            fun () -> Task.FromResult(walk.Page.Url.Contains "x=seconds")
                        )
                }))

        walkInCopy "tags and a note, by keyboard; markup in them is text" ignore (fun folder walk ->
            task {
                let id = runOf folder "dq"
                do! walk.Go $"runs/{id}"
                do! walk.Drawn 1
                do! walk.Page.GetByText("Tags and note").FocusAsync()
                do! walk.Page.Keyboard.PressAsync "Enter"
                do! walk.Page.Locator("#tags").FillAsync "good, first"
                do! walk.Page.Locator("#note").FillAsync "<img src=x onerror=alert(1)>"
                do! walk.Accessible "dialog"
                do! walk.Page.GetByText("Save", PageGetByTextOptions(Exact = true)).ClickAsync()
                do! walk.Page.Locator(".note").WaitForAsync()
                let! note = walk.Text ".note"
                Expect.equal note "<img src=x onerror=alert(1)>" "text"
                let said = (Annotations.Read folder)[id]
                Expect.equal (List.ofSeq said.Tags) [ "first"; "good" ] "kept"
            })

        walk "by keyboard alone: skip link, sections, table" desktop (fun _ walk ->
            task {
                do! walk.Go ""
                do! walk.Page.Locator("td.name").First.WaitForAsync()
                // reading begins at the heading; what is before it is one step back
                do! walk.Page.Locator("a.skip").FocusAsync()
                let! seen = walk.Page.Locator("a.skip").BoundingBoxAsync()
                Expect.isGreaterThanOrEqual (nonNull seen).Y 0f "seen while it has the focus"
                do! walk.Page.Keyboard.PressAsync "Enter"
                let! target = walk.Page.EvaluateAsync<string> "document.activeElement.id"
                Expect.equal target "main" "the content"
            })

        walk
            "dark, on a phone: nothing overflows, contrast holds"
            (BrowserNewContextOptions(
                ViewportSize = ViewportSize(Width = 390, Height = 844),
                ColorScheme = ColorScheme.Dark,
                IsMobile = true,
                HasTouch = true
            ))
            (fun folder walk ->
                task {
                    let id = runOf folder "dq"

                    for path in
                        [
                            ""
                            $"runs/{id}"
                            $"runs/{id}/reconstructions"
                            $"runs/{id}/codebooks"
                            $"runs/{id}/settings"
                            $"compare?run={id}"
                            "sweeps"
                            "chains"
                        ] do
                        do! walk.Go path
                        do! walk.Page.Locator("h1").WaitForAsync()
                        let! theme = walk.Page.EvaluateAsync<string> "document.documentElement.dataset.theme"
                        Expect.equal theme "dark" "as the browser asks"
                        let! width = walk.Page.EvaluateAsync<int> "document.documentElement.scrollWidth"
                        Expect.isLessThanOrEqual width 391 path
                        do! walk.Accessible path

                    // a finger on a curve scrolls the page
                    do! walk.Go $"runs/{id}"
                    do! walk.Drawn 1
                    do! (walk.Page.Locator "dq-curves canvas").First.ScrollIntoViewIfNeededAsync()
                    let! at = (walk.Page.Locator "dq-curves canvas").First.BoundingBoxAsync()
                    let at = nonNull at
                    let! touch = walk.Page.Context.NewCDPSessionAsync walk.Page

                    let send (kind: string) (points: obj list) =
                        let arguments = Dictionary<string, obj>()
                        arguments["type"] <- (kind :> obj)
                        arguments["touchPoints"] <- (Array.ofList points :> obj)
                        touch.SendAsync("Input.dispatchTouchEvent", arguments) :> Task

                    let point (x: float32) (y: float32) : obj = {| x = x; y = y |}
                    let! before = walk.Page.EvaluateAsync<float> "scrollY"
                    let x, y = at.X + at.Width / 2f, min 700f (at.Y + at.Height / 2f)
                    do! send "touchStart" [ point x y ]

                    for i in 1..10 do
                        do! send "touchMove" [ point x (y - 20f * float32 i) ]

                    do! send "touchEnd" []

                    do!
                        walk.Until(
                            "the page scrolls",
                            fun () ->
                                task {
                                    let! now = walk.Page.EvaluateAsync<float> "scrollY"
                                    return now > before + 50.0
                                }
                        )

                    Expect.isFalse (walk.Page.Url.Contains "zoom=") "nothing was zoomed"
                    do! walk.Page.GetByLabel("Light colours").ClickAsync()
                    do! walk.Page.Locator("html[data-theme=light]").WaitForAsync()
                })

        walking "a page loads itself again when its server was started again" (fun () ->
            task {
                // outside of the range that systems give away
                let port =
                    Seq.initInfinite (fun i -> 21000 + (Environment.ProcessId * 7 + i) % 9000)
                    |> Seq.find (fun port ->
                        try
                            use listener = new Net.Sockets.TcpListener(Net.IPAddress.Loopback, port)
                            listener.Start()
                            true
                        with :? Net.Sockets.SocketException ->
                            false)

                let start () =
                    new Site(artifacts.Value, [ "--urls"; $"http://127.0.0.1:{port}" ])

                let first = start ()
                let id = runOf artifacts.Value "dq"

                let! browser = browser.Value
                let! context = browser.NewContextAsync desktop
                context.SetDefaultTimeout(float32 patience.TotalMilliseconds)
                let! page = context.NewPageAsync()
                let! _ = page.GotoAsync $"http://127.0.0.1:{port}/runs/{id}?x=seconds"

                let! _ =
                    page.WaitForFunctionAsync "() => document.querySelector('dq-curves[data-drawn]')"

                do! page.EvaluateAsync "() => { globalThis.isOld = true; }" :> Task
                (first :> IDisposable).Dispose()
                use _ = start ()

                let! _ =
                    page.WaitForFunctionAsync
                        "() => !globalThis.isOld && document.querySelector('dq-curves[data-drawn]')"

                Expect.stringEnds page.Url $"/runs/{id}?x=seconds" "what it showed is in its address"
                do! context.CloseAsync()
            })

        walk "links and buttons show the keyboard's focus" desktop (fun folder walk ->
            task {
                let id = runOf folder "dq"
                do! walk.Go $"runs/{id}"
                do! walk.Drawn 1

                for target in [ ".tabs a"; "main button"; "header a" ] do
                    do! walk.Page.Locator(target).First.FocusAsync()
                    // the browser shows focus to who uses the keyboard
                    do! walk.Page.Keyboard.PressAsync "Tab"
                    do! walk.Page.Keyboard.PressAsync "Shift+Tab"

                    let! outline =
                        walk.Page.EvaluateAsync<string> "() => getComputedStyle(document.activeElement).outline"

                    Expect.stringContains outline "solid 2px" target
            })

        walkInCopy
            "a log of one line is a point; steps that were skipped are marked"
            (fun folder ->
                let log variant =
                    Path.Combine(folder, RunLayout.Runs, runOf folder variant, RunLayout.Metrics)

                let line (step: int) rest =
                    $"{{\"split\":\"train\",\"step\":{step},\"images_seen\":{step},\"seconds\":{step},{rest}}}"

                File.WriteAllLines(log "dq", [ line 1 "\"loss\":2.5" ])

                File.WriteAllLines(
                    log "vq",
                    [
                        line 1 "\"loss\":2.5,\"skipped_steps\":0"
                        line 2 "\"skipped_steps\":3"
                        "no line of a log"
                        line 3 "\"loss\":-1.7e308,\"skipped_steps\":0"
                        line 4 "\"loss\":1.7e308,\"skipped_steps\":0"
                    ]
                ))
            (fun folder walk ->
                task {
                    let first = "document.querySelector('dq-curves').chart.getOption().series[0]"
                    let single, skipping = runOf folder "dq", runOf folder "vq"
                    do! walk.Go $"runs/{single}"
                    do! walk.Drawn 1

                    let! symbols =
                        walk.Page.EvaluateAsync<string[]>
                            "() => document.querySelector('dq-curves').chart.getOption().series.map(one => one.symbol)"

                    Expect.contains symbols "circle" "a point, where there is no line"
                    do! walk.Go $"runs/{skipping}"
                    do! walk.Drawn 1

                    let! marks =
                        walk.Page.EvaluateAsync<string[]>
                            $"() => {first}.markLine.data.map(one => `${{one.xAxis}}: ${{one.name}}`)"

                    Expect.equal marks [| "2: 3 skipped" |] "where, and how many"
                    let! unreadable = walk.Text ".notice h2"
                    Expect.equal unreadable "1 line of metrics.jsonl can't be read" "said"
                })

        walkInCopy
            "numbers beyond measure, on a logarithmic axis, are drawn like any"
            (fun folder ->
                let file =
                    Path.Combine(folder, RunLayout.Runs, runOf folder "dq", RunLayout.Metrics)

                File.AppendAllLines(
                    file,
                    [
                        for step, loss in [ 41, "1e-300"; 42, "1e10"; 43, "1.7e308"; 43, "-5"; 10, "1" ] ->
                            $"{{\"split\":\"train\",\"step\":{step},\"images_seen\":{step},\"seconds\":1,\"loss\":{loss}}}"
                    ]
                ))
            (fun folder walk ->
                task {
                    let id = runOf folder "dq"
                    do! walk.Go $"runs/{id}?log=1&zoom=step,5,43"
                    do! walk.Drawn 3
                    do! walk.Go $"runs/{id}"
                    do! walk.Drawn 3
                })

        walkInCopy
            "a damaged run is shown with its reason, the other unharmed"
            (fun folder ->
                let run = Path.Combine(folder, RunLayout.Runs, runOf folder "dq", RunLayout.Run)
                File.WriteAllText(run, "{ \"schema\": 1, \"id\": ")

                let codebooks =
                    Path.Combine(folder, RunLayout.Runs, runOf folder "vq", RunLayout.Codebooks)

                File.WriteAllBytes(codebooks, [| 0uy |]))
            (fun folder walk ->
                task {
                    let damaged, other = runOf folder "dq", runOf folder "vq"
                    do! walk.Go ""
                    do! walk.Page.Locator(".status.damaged").WaitForAsync()
                    let! reason = walk.Text "td.problem"
                    Expect.stringContains reason "run.json" "which file"
                    do! walk.Go $"runs/{damaged}"
                    do! walk.Page.Locator(".notice.error").WaitForAsync()
                    do! walk.Go $"runs/{other}/codebooks"
                    do! walk.Page.Locator(".notice.error").WaitForAsync()
                    let! title = walk.Text "h1"
                    Expect.equal title "tiny-vq" "the rest of the page is there"
                })

        walking "a report opens from the disk and draws itself" (fun () ->
            inFolderOfItsOwn (fun out ->
                task {
                    let file = Path.Combine(out, "report.html")
                    let arguments = [ "report"; "tiny-dq"; "tiny-vq"; "-o"; file; "--artifacts"; artifacts.Value ]
                    let finished = run arguments
                    Expect.equal finished.ExitCode 0 finished.Errors

                    do!
                        walkOn shared.Value desktop (fun walk ->
                            task {
                                let! _ = walk.Page.GotoAsync("file://" + file)
                                do! walk.Drawn 3
                                do! walk.Accessible "report"
                                // a part of the axis is shown, and all of it again
                                do! dragAcross walk
                                let reset = walk.Page.GetByLabel("Reset zoom: Loss").First
                                do! reset.WaitForAsync()
                                let! shown = axisOfFirst walk
                                Expect.isLessThan (shown[1] - shown[0]) 30.0 "a part of 40 steps"
                                do! reset.ClickAsync()

                                do!
                                    walk.Until(
                                        "all of the axis",
                                        fun () ->
                                            task {
                                                let! shown = axisOfFirst walk
                                                return shown[1] - shown[0] > 35.0
                                            }
                                    )
                            })
                }))
    ]
