/// Pages and components by themselves, with the site's services on a folder of runs.
module DQ.Tests.Reports.Rendering

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open AngleSharp.Dom
open Bunit
open DQ.Reports.Catalog
open DQ.Reports.Hosting
open DQ.Reports.Metrics
open Microsoft.AspNetCore.Components
open Microsoft.Extensions.DependencyInjection
open Microsoft.Extensions.Logging.Abstractions
open MudBlazor.Services

/// A clock whose timers ring when the test says so.
type HandClock() =
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
let contextOf (clock: TimeProvider) folder =
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

let withClock clock folder (act: BunitContext -> RunCatalog -> unit) =
    let context, catalog = contextOf clock folder

    try
        act context catalog
    finally
        // some of MudBlazor's services know no other way
        context.DisposeAsync().AsTask().Wait()

let withContext folder act =
    withClock TimeProvider.System folder act

let render<'c when 'c :> IComponent and 'c: not null>
    (context: BunitContext)
    (values: (string * (obj | null)) list)
    : IRenderedComponent<'c> =
    let fill =
        Action<ComponentParameterCollectionBuilder<'c>>(fun parameters ->
            for name, value in values do
                parameters.TryAdd(name, value) |> ignore)

    context.Render<'c> fill

/// Elements as they are rendered now.
let all (selector: string) (rendered: IRenderedComponent<'c>) : IElement list = [
    for element in rendered.Nodes.QuerySelectorAll selector -> element
]

let goTo (context: BunitContext) (path: string) =
    context.Services.GetRequiredService<NavigationManager>().NavigateTo path

/// Until the page has rendered what its URL asks for.
let eventually (rendered: IRenderedComponent<'c>) (check: unit -> unit) =
    rendered.WaitForAssertion(Action check, DQ.Tests.Pipeline.Program.patience)
