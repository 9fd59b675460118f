using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Components;

/// <summary>Views saved under a name in the artifacts folder: a link to each, and a box to save this one.</summary>
public sealed partial class SavedViewsMenu
{
    /// <summary>Pages that have views. What the file says of others is not linked to.</summary>
    private static readonly string[] Pages = [Links.Runs, Links.Compare];

    private IReadOnlyList<SavedView> views = [];
    private string name = "";
    private string? problem;

    /// <summary>Path of this page below the site's base.</summary>
    [Parameter, EditorRequired]
    public string Page { get; set; } = "";

    [Parameter, EditorRequired]
    public Query Query { get; set; } = null!;

    [Inject]
    private ArtifactFolder Folder { get; set; } = null!;

    [Inject]
    private RecordCache Records { get; set; } = null!;

    protected override void OnParametersSet() => Read();

    private void Read()
    {
        var found = Records.Find<SavedViewsRecord>(SavedViews.FileName);
        problem = found?.Problem;
        views = [.. found?.Record?.Views.Where(view => Pages.Contains(view.Page)) ?? []];
    }

    /// Whatever the file says, a page of this site.
    private static string Href(SavedView view) => view.Page + Query.Parse(view.Query);

    private Task Save() => Change(() => SavedViews.Save(Folder.Root, new(name, Page, Query.ToString())), clear: true);

    private Task Forget(string view) => Change(() => SavedViews.Remove(Folder.Root, view), clear: false);

    private async Task Change(Action change, bool clear)
    {
        try
        {
            await Task.Run(change);
            Read();
            if (clear)
                name = "";
        }
        catch (Exception error) when (error is ArgumentException or ArtifactException or IOException or UnauthorizedAccessException)
        {
            problem = Folder.Short(error.Message);
        }
    }
}
