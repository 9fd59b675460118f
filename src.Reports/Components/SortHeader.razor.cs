using DQ.Reports.Catalog;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Components;

/// <summary>The head of a column that sorts: a link, as the order is in the URL.</summary>
public sealed partial class SortHeader
{
    [Parameter, EditorRequired]
    public string Key { get; set; } = "";

    [Parameter, EditorRequired]
    public string Title { get; set; } = "";

    [Parameter]
    public string Unit { get; set; } = "";

    [Parameter]
    public string? Hint { get; set; }

    [Parameter]
    public bool Numeric { get; set; }

    [Parameter, EditorRequired]
    public RunsView View { get; set; } = null!;

    [Parameter, EditorRequired]
    public Query Query { get; set; } = null!;

    private bool Sorted => View.Sort == Key;

    private string? Direction =>
        !Sorted ? null
        : View.Descending ? "descending"
        : "ascending";

    private string Arrow =>
        !Sorted ? ""
        : View.Descending ? " ↓"
        : " ↑";

    /// The better end first; the other on a second click.
    private bool FirstDescending => Key == RunsView.Started || RunMetric.Find(Key) is { Better: not Better.Lower };

    private string Target
    {
        get
        {
            var descending = Sorted ? !View.Descending : FirstDescending;
            return Links.Runs + Query.With(Links.Names.Sort, (descending ? "-" : "") + Key).With(Links.Names.Page);
        }
    }
}
