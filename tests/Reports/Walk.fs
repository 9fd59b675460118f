/// What walks through the site share: a real Chromium, pages that must say nothing wrong, and folders to walk on. Without a browser
/// walks are skipped, and say so; in CI they must run.
module DQ.Tests.Reports.Walk

open System
open System.Diagnostics
open System.IO
open System.Threading.Tasks
open Deque.AxeCore.Playwright
open Expecto
open Microsoft.Playwright
open DQ.Tests.Pipeline.Program
open DQ.Tests.Reports.Site

let private chromium =
    [ "DQ_CHROMIUM" ]
    |> List.choose (fun name -> Option.ofObj (Environment.GetEnvironmentVariable name))
    |> List.append [ "/usr/bin/chromium"; "/usr/bin/chromium-browser"; "/usr/bin/google-chrome" ]
    |> List.tryFind File.Exists

let browser =
    lazy
        (task {
            let! playwright = Playwright.CreateAsync()

            return!
                playwright.Chromium.LaunchAsync(
                    BrowserTypeLaunchOptions(
                        ExecutablePath = Option.toObj chromium,
                        Timeout = float32 patience.TotalMilliseconds,
                        // as root in a container there is no other way
                        Args = [| "--no-sandbox" |]
                    )
                )
        })

/// What a page said that it should not have.
type Walk = {
    Page: IPage
    Site: Site
    Problems: ResizeArray<string>
} with

    member this.Go(path: string) =
        task {
            let! _ = this.Page.GotoAsync(string (Uri(this.Site.Address, path)))
            // until the page answers to clicks
            let! _ =
                this.Page.WaitForFunctionAsync
                    "() => globalThis.Blazor && !document.querySelector('[__internal_stoppropagation_onclick]')"

            return ()
        }

    /// Clicks at a time when the page listens.
    member this.Until(what: string, check: unit -> Task<bool>) =
        task {
            let watch = Stopwatch.StartNew()
            let mutable holds = false

            while not holds do
                if watch.Elapsed > patience then
                    failtest $"waited for: {what}"

                let! now = check ()
                holds <- now

                if not holds then
                    do! Task.Delay 50
        }

    member this.Text(selector: string) =
        this.Page.Locator(selector).First.InnerTextAsync()

    /// Charts are drawn when they come into view.
    member this.Drawn(least: int) =
        this.Until(
            $"{least} charts",
            fun () ->
                task {
                    let! drawn =
                        this.Page.EvaluateAsync<int>
                            "() => {
                               const due = document.querySelector('dq-curves:not([data-drawn]), dq-chart:not([data-drawn])');
                               due?.scrollIntoView();
                               return document.querySelectorAll('[data-drawn]').length;
                             }"

                    return drawn >= least
                }
        )

    member this.Accessible(where: string) =
        task {
            let! result = this.Page.RunAxe()

            let found = [
                for violation in result.Violations do
                    if violation.Impact <> "minor" then
                        $"{violation.Id}: {violation.Help}: {violation.Nodes[0].Html}"
            ]

            Expect.isEmpty found (String.concat "\n" (where :: found))
        }

let walkOn (site: Site) (options: BrowserNewContextOptions) (steps: Walk -> Task<unit>) =
    task {
        let! browser = browser.Value
        let! context = browser.NewContextAsync options
        context.SetDefaultTimeout(float32 patience.TotalMilliseconds)
        let! page = context.NewPageAsync()
        let problems = ResizeArray<string>()

        page.Console.Add(fun message ->
            if message.Type = "error" then
                problems.Add message.Text)

        page.PageError.Add problems.Add

        page.Request.Add(fun request ->
            let address = Uri request.Url

            if address.Scheme.StartsWith "http" && address.Authority <> site.Address.Authority then
                problems.Add $"asked {request.Url}")

        do!
            steps {
                Page = page
                Site = site
                Problems = problems
            }

        do! context.CloseAsync()
        Expect.isEmpty problems "no errors, nothing from elsewhere"
    }

let walkWith (options: BrowserNewContextOptions) (folder: string) (steps: Walk -> Task<unit>) =
    task {
        use site = new Site(folder, [])
        do! walkOn site options steps
    }

/// For the walks that change nothing.
let shared =
    lazy
        (let site = new Site(artifacts.Value, [])
         AppDomain.CurrentDomain.ProcessExit.Add(fun _ -> (site :> IDisposable).Dispose())
         site)

let desktop =
    BrowserNewContextOptions(ViewportSize = ViewportSize(Width = 1360, Height = 900))

let walking name (body: unit -> Task<unit>) =
    testTask name {
        match chromium with
        | None when Environment.GetEnvironmentVariable "CI" = "true" ->
            failtest "no Chromium: apt-get install chromium, or DQ_CHROMIUM with its path"
        | None -> skiptest "no Chromium: apt-get install chromium, or DQ_CHROMIUM with its path"
        | Some _ -> do! body ()
    }

let walk name options (steps: string -> Walk -> Task<unit>) =
    walking name (fun () -> walkOn shared.Value options (steps artifacts.Value))

/// A saved table, by lines.
let saved (walk: Walk) (button: ILocator) =
    task {
        let! download = walk.Page.RunAndWaitForDownloadAsync(fun () -> button.ClickAsync())
        let! path = download.PathAsync()
        return File.ReadAllLines path
    }

/// Milliseconds from the start of loading to the first text or picture.
let firstPaint (walk: Walk) =
    walk.Page.EvaluateAsync<float> "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"

/// In a folder of its own.
let inFolderOfItsOwn (body: string -> Task<unit>) =
    task {
        let folder = Directory.CreateTempSubdirectory("dq-tests-").FullName

        try
            do! body folder
        finally
            Directory.Delete(folder, true)
    }

/// On a copy of the artifacts that was changed before.
let walkInCopy name (change: string -> unit) (steps: string -> Walk -> Task<unit>) =
    walking name (fun () ->
        inFolderOfItsOwn (fun folder ->
            copyFolder artifacts.Value folder
            change folder
            walkWith desktop folder (steps folder)))
