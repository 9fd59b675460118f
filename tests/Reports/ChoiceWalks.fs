/// Walks through what readers compare by: seeds as one, what stands at a place, views that are kept.
module DQ.Tests.Reports.ChoiceWalks

open System
open System.IO
open System.Threading.Tasks
open Expecto
open Microsoft.Playwright
open DQ.Core.Artifacts
open DQ.Reports.Urls
open DQ.Tests.Reports.Site
open DQ.Tests.Reports.Walk

let private compared artifacts averaging =
    "compare"
    + Query()
        .With(Links.Names.Run, runs artifacts |> Array.map idOf)
        .With(Links.Names.Average, [ averaging ])
        .With(Links.Names.Smoothing, [ "0" ])
        .ToString()

/// Moves the mouse to a row of a line of the first chart, 6 pixels above it.
let private pointAt (walk: Walk) (line: int) (row: int) =
    task {
        // curves are drawn when they come into view; another chart may have been drawn before
        do!
            walk.Page
                .Locator("dq-curves")
                .First.WaitForAsync(LocatorWaitForOptions(State = WaitForSelectorState.Attached))

        do!
            walk.Until(
                "curves",
                fun () ->
                    walk.Page.EvaluateAsync<bool>
                        "() => {
                           const curves = document.querySelector('dq-curves');
                           curves.scrollIntoView({ block: 'center' });
                           return curves.hasAttribute('data-drawn') && curves.querySelector('canvas') !== null;
                         }"
            )

        let! at =
            walk.Page.EvaluateAsync<float[]>(
                "([line, row]) => {
                   const curves = document.querySelector('dq-curves');
                   const shown = curves.shown[line];
                   const at = curves.chart.convertToPixel({ gridIndex: 0 }, [shown.x[row], shown.drawn[row]]);
                   const canvas = curves.canvas.getBoundingClientRect();
                   return [canvas.left + at[0], canvas.top + at[1]];
                 }",
                [| line; row |]
            )

        do! walk.Page.Mouse.MoveAsync(float32 at[0], float32 at[1] - 12f)
        do! walk.Page.Mouse.MoveAsync(float32 at[0], float32 at[1] - 3f)
        do! walk.Page.Locator("dq-curves .reading:not([hidden])").First.WaitForAsync()
    }

let private cells (walk: Walk) (column: int) =
    walk.Page.EvaluateAsync<string[]>(
        "column => [...document.querySelectorAll('dq-curves .reading:not([hidden]) tr')].map((row) => row.cells[column].textContent)",
        column
    )

/// Pixels that the box and its chart share.
let private overlap (walk: Walk) =
    walk.Page.EvaluateAsync<float>
        "() => {
           const box = document.querySelector('.reading:not([hidden])').getBoundingClientRect();
           const chart = document.querySelector('dq-curves .canvas').getBoundingClientRect();
           const across = Math.min(box.right, chart.right) - Math.max(box.left, chart.left);
           const down = Math.min(box.bottom, chart.bottom) - Math.max(box.top, chart.top);
           return Math.max(0, across) * Math.max(0, down);
         }"

[<Tests>]
let tests =
    testSequenced
    <| testList "Reports.Choices" [
        walk
            "all runs at a place are read by value, the nearest is bold and thick, and a click opens it"
            desktop
            (fun folder walk ->
                task {
                    do! walk.Go(compared folder "")
                    do! walk.Drawn 2

                    let! lines =
                        walk.Page.EvaluateAsync<string[]>
                            "() => document.querySelector('dq-curves').shown.map((line) => line.reading)"

                    let second = 1
                    do! pointAt walk second 8
                    let! names = cells walk 0
                    Expect.equal (Array.sort names) (Array.sort lines) "every line"
                    let! values = cells walk 1
                    let values = values |> Array.map (fun text -> float (text.Replace("≈ ", "")))
                    Expect.equal values (Array.sortDescending values) "sorted"
                    let! bold = walk.Text "dq-curves .reading .nearest td"
                    Expect.equal bold lines[second] "the nearest"

                    let! thick =
                        walk.Page.EvaluateAsync<int>
                            "() => document.querySelector('dq-curves').chart.getZr().storage.getDisplayList()
                                     .filter((one) => one.type === 'ec-polyline' && one.currentStates.includes('emphasis')).length"

                    Expect.equal thick 1 "one line is thicker"
                    let! hidden = overlap walk
                    Expect.equal hidden 0.0 "nothing of the chart is covered"
                    let at = walk.Page.Url
                    do! walk.Page.Mouse.DownAsync()
                    do! walk.Page.Mouse.UpAsync()
                    do! walk.Until("another page", fun () -> Task.FromResult(walk.Page.Url <> at))
                    Expect.stringContains walk.Page.Url "/runs/" "of a run"
                    do! walk.Page.Locator("h1").WaitForAsync()
                })

        for width in [ 700; 390 ] do
            walk
                $"the box of values never covers its chart, {width} pixels wide"
                (BrowserNewContextOptions(ViewportSize = ViewportSize(Width = width, Height = 800)))
                (fun folder walk ->
                    task {
                        do! walk.Go(compared folder "")
                        do! walk.Drawn 1
                        do! pointAt walk 0 10
                        let! hidden = overlap walk
                        Expect.equal hidden 0.0 "nothing of the chart is covered"
                    })

        walking "seeds are one curve with a band of a deviation" (fun () ->
            walkWith desktop seeds.Value (fun walk ->
                task {
                    do! walk.Go(compared seeds.Value "seed")
                    do! walk.Drawn 2
                    do! walk.Accessible "averages side by side"

                    let! spread =
                        walk.Page.EvaluateAsync<float[]>
                            "() => document.querySelector('dq-curves').shown.filter((line) => line.what.startsWith('train'))
                                     .flatMap((line) => line.rows.map((row) => row.deviation))"

                    Expect.hasLength spread 40 "20 places of two averages"

                    for one in spread do
                        Expect.floatClose { absolute = 1e-4; relative = 0.0 } one 0.1 "losses a tenth apart"

                    let! bands =
                        walk.Page.EvaluateAsync<int>
                            "() => document.querySelector('dq-curves').chart.getZr().storage.getDisplayList().filter((one) => one.type === 'polygon').length"

                    Expect.isGreaterThanOrEqual bands 2 "shaded"
                    do! pointAt walk 0 5
                    let! values = cells walk 1
                    Expect.stringContains values[0] "± 0.1000 (3)" "deviation and number of runs"
                    do! walk.Go "?avg=seed"
                    do! walk.Page.Locator(".runs tbody tr").First.WaitForAsync()
                    do! walk.Accessible "averages"
                }))

        walk "the last choice is kept for the bare address, and can be given up" desktop (fun _ walk ->
            task {
                do! walk.Go ""
                do! walk.Page.Locator("label.select select").Last.SelectOptionAsync "name" :> Task
                do! walk.Until("the group in the URL", fun () -> Task.FromResult(walk.Page.Url.Contains "group=name"))
                do! walk.Go ""
                Expect.stringContains walk.Page.Url "group=name" "kept"
                do! walk.Page.GetByText("Default view").ClickAsync()
                do! walk.Until("the plain table", fun () -> Task.FromResult(not (walk.Page.Url.Contains "group")))
                do! walk.Go ""
                Expect.isFalse (walk.Page.Url.Contains "group") "given up"
            })

        walk
            "an address from elsewhere is shown as it is, and links within the site keep the smoothing"
            desktop
            (fun folder walk ->
                task {
                    let id = runOf folder "dq"
                    do! walk.Go $"runs/{id}"
                    do! walk.Page.GetByText("Log scale").ClickAsync()
                    do! walk.Until("log scale", fun () -> Task.FromResult(walk.Page.Url.Contains "log=1"))
                    do! walk.Go $"runs/{id}"
                    Expect.isFalse (walk.Page.Url.Contains "log=1") "as it is"
                    do! walk.Go ""
                    do! walk.Page.Locator("td.name > a").First.ClickAsync()
                    do! walk.Until("kept", fun () -> Task.FromResult(walk.Page.Url.Contains "log=1"))
                })

        walkInCopy "a view saved under a name is there for everybody, and can be forgotten" ignore (fun folder walk ->
            task {
                do! walk.Go "?q=vq&cols=test_psnr_db"
                do! walk.Page.Locator("details.views > summary").ClickAsync()
                do! walk.Page.GetByLabel("Name of this view").FillAsync "only vq <b>"

                do!
                    walk.Page
                        .Locator("details.views")
                        .GetByText("Save", LocatorGetByTextOptions(Exact = true))
                        .ClickAsync()

                do! walk.Page.Locator("details.views li a").WaitForAsync()
                do! walk.Accessible "saved views"
                let saved = SavedViews.Read folder |> Seq.exactlyOne
                Expect.equal saved (SavedView("only vq <b>", "", "?q=vq&cols=test_psnr_db")) "in the folder"
                do! walk.Go "compare"
                do! walk.Page.Locator("details.views > summary").ClickAsync()
                do! walk.Page.GetByText("only vq <b>").ClickAsync()
                do! walk.Until("the view", fun () -> Task.FromResult(walk.Page.Url.EndsWith "?q=vq&cols=test_psnr_db"))
                do! walk.Page.Locator("td.name > a").WaitForAsync()
                do! walk.Page.Locator("details.views > summary").ClickAsync()
                do! walk.Page.GetByLabel("Forget only vq <b>").ClickAsync()
                do! walk.Until("forgotten", fun () -> Task.FromResult(Seq.isEmpty (SavedViews.Read folder)))
            })
    ]
