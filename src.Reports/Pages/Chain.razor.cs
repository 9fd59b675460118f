using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Chains;
using DQ.Reports.Charts;
using DQ.Reports.Metrics;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>One chain: as <c>dq progressive</c> recorded it, else the runs that led to a run.</summary>
public sealed partial class Chain
{
    private static readonly (string Key, string Title)[] Plotted =
    [
        ("reconstruction_nats_per_dim", "Reconstruction, nats/dim"),
        ("reconstruction_squared_error", "Squared error"),
        ("loss", "Loss"),
    ];

    private ChainEntry? entry;
    private IReadOnlyList<RunEntry> runs = [];
    private IReadOnlyList<RunMetric> metrics = [];
    private IReadOnlyList<LinesSpec> curves = [];
    private LinesSpec? plot;
    private string axis = ChainPlot.Work;

    /// <summary>Of a folder under <c>chains/</c>, or of the last run.</summary>
    [Parameter]
    public string Id { get; set; } = "";

    [Inject]
    private MetricsStore Log { get; set; } = null!;

    [Inject]
    private RecordCache Records { get; set; } = null!;

    private string Title => entry?.Name ?? (runs.Count > 0 ? runs[^1].Name : "Chain");

    protected override void Update()
    {
        entry = ChainEntry.Find(Records, Id);
        var last = entry?.Record?.Stages.LastOrDefault()?.Run ?? Id;
        var chain = Catalog.Current.ById.GetValueOrDefault(last) is { } run ? RunChain.EndingIn(run, Catalog.Current) : null;
        if (entry is null && chain is null)
            Missing();
        curves = chain is null
            ? []
            : [.. Plotted.Select(one => ChainCurve.Of(chain, Log, one.Key, one.Title)).Where(curve => curve.Series.Count > 0)];
        var scratch = entry?.Record?.Scratch is { } stage ? Catalog.Current.ById.GetValueOrDefault(stage.Run) : null;
        runs = [.. chain?.Runs ?? [], .. scratch is null ? Array.Empty<RunEntry>() : [scratch]];
        metrics = [.. RunMetric.All.Where(metric => metric.Group == "test" && runs.Any(one => metric.Value(one) is not null)).Take(6)];
        axis = Query[Links.Names.Axis] == ChainPlot.Seconds ? ChainPlot.Seconds : ChainPlot.Work;
        plot = entry?.Record is { } record ? ChainPlot.Of(record, axis) : null;
    }

    private static IEnumerable<ChainStageRecord> Stages(ChainRecord chain) =>
        chain.Scratch is { } scratch ? chain.Stages.Append(scratch) : chain.Stages;
}
