using DQ.Reports.Catalog;
using DQ.Reports.Charts;
using DQ.Reports.Metrics;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>Numbers and curves of a run.</summary>
public sealed partial class RunOverview
{
    private IReadOnlyList<CurvePlan>? plans;
    private (string Id, long Version) plannedFor;
    private bool planning;

    /// Of the log, lines that are none of a log.
    private long unreadable;

    [Parameter, EditorRequired]
    public RunEntry Run { get; set; } = null!;

    [Parameter, EditorRequired]
    public Query Query { get; set; } = null!;

    [Parameter, EditorRequired]
    public Action<string, string?> Set { get; set; } = null!;

    [Inject]
    private MetricsStore Metrics { get; set; } = null!;

    private CurveSettings Settings => CurveSettings.Of(Query);

    private string Sources => CurveSource.Json([Run]);

    /// The log may be long: the page is there before it is read.
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (planning || plannedFor == (Run.Id, Run.Version))
            return;
        planning = true;
        var (run, wanted) = (Run.Id, (Run.Id, Run.Version));
        var found = await Task.Run(() => Metrics.Look(run, tables => CurvePlan.For(CurvePlan.Names(tables))) ?? []);
        (planning, plannedFor, unreadable) = (false, wanted, Metrics.UnreadableLines(run));
        // the same charts stay the same elements
        if (plans is null || !plans.Select(plan => plan.Title).SequenceEqual(found.Select(plan => plan.Title)))
            plans = found;
        StateHasChanged();
    }
}
