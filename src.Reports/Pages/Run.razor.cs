using DQ.Reports.Catalog;
using DQ.Reports.Components;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;
using MudBlazor;

namespace DQ.Reports.Pages;

/// <summary>One run.</summary>
public sealed partial class Run
{
    private static readonly DialogOptions Options = new() { CloseButton = true, CloseOnEscapeKey = true };

    private RunEntry? run;
    private string tab = RunTabs.Overview;

    [Parameter]
    public string Id { get; set; } = "";

    [Parameter]
    public string? Tab { get; set; }

    [Inject]
    private IDialogService Dialogs { get; set; } = null!;

    protected override void Update()
    {
        run = Catalog.Current.ById.GetValueOrDefault(Id);
        if (run is null)
            Missing();
        tab = Tab ?? (run is null ? RunTabs.Overview : RunTabs.Of(run)[0].Key);
    }

    /// How curves are drawn goes along from part to part.
    private Query Kept =>
        ((string[])[Links.Names.Axis, Links.Names.Log, Links.Names.Smoothing, Links.Names.Zoom, Links.Names.Off]).Aggregate(
            new Query(),
            (kept, name) => kept.With(name, Query.All(name))
        );

    private Task Annotate() =>
        Dialogs.ShowAsync<AnnotationDialog>(
            "Tags and note",
            new DialogParameters<AnnotationDialog> { { dialog => dialog.Run, run } },
            Options
        );
}
