using DQ.Reports.Catalog;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Routing;

namespace DQ.Reports.Pages;

/// <summary>
/// A page whose state is its URL, and which follows the runs. It renders when either changes, and what it shows is a function of both.
/// </summary>
public abstract class PageBase : ComponentBase, IDisposable
{
    [Inject]
    protected NavigationManager Navigation { get; set; } = null!;

    [Inject]
    protected RunCatalog Catalog { get; set; } = null!;

    /// Of the request that the page is first rendered for; null once it is live.
    [CascadingParameter]
    private HttpContext? Context { get; set; }

    protected Query Query { get; private set; } = new();

    /// Queries this page asked the browser for, not yet answered. Their answers bring nothing new, and older ones would undo the newer.
    private readonly List<string> asked = [];

    /// <summary>Read the query and the runs into what the page shows; called before every rendering that either causes.</summary>
    protected abstract void Update();

    protected override async Task OnInitializedAsync()
    {
        Query = Query.Parse(Navigation.Uri);
        await Catalog.Ready;
        Navigation.LocationChanged += OnLocation;
        Catalog.Changed += OnCatalog;
    }

    protected override void OnParametersSet()
    {
        if (asked.Count == 0)
            Query = Query.Parse(Navigation.Uri);
        if (Catalog.Ready.IsCompleted)
            Update();
    }

    /// <summary>Says to whoever does not read pages that there is nothing of this name.</summary>
    protected void Missing()
    {
        if (Context is { Response.HasStarted: false })
            Context.Response.StatusCode = StatusCodes.Status404NotFound;
    }

    /// <summary>Sets a name of the query, in the same place of the history.</summary>
    protected void Set(string name, string? value) => Go(Query.With(name, value));

    /// <summary>Replaces the query.</summary>
    protected void Go(Query query, bool replace = true)
    {
        // what was asked for is shown before the browser has been told where it is
        Query = query;
        asked.Add(query.ToString());
        Update();
        StateHasChanged();
        Navigation.NavigateTo(Navigation.ToBaseRelativePath(Navigation.Uri).Split('?', '#')[0] + query, replace: replace);
    }

    private void OnLocation(object? sender, LocationChangedEventArgs args) =>
        InvokeAsync(() =>
        {
            var query = Query.Parse(args.Location);
            var answered = asked.IndexOf(query.ToString());
            asked.RemoveRange(0, answered >= 0 ? answered + 1 : asked.Count);
            if (answered >= 0)
                return;
            Query = query;
            Update();
            StateHasChanged();
        });

    private void OnCatalog() =>
        InvokeAsync(() =>
        {
            Update();
            StateHasChanged();
        });

    public void Dispose()
    {
        Navigation.LocationChanged -= OnLocation;
        Catalog.Changed -= OnCatalog;
        GC.SuppressFinalize(this);
    }
}
