using DQ.Reports.Catalog;
using DQ.Reports.Charts;
using DQ.Reports.Metrics;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>One chain of runs.</summary>
public sealed partial class Chain
{
    private static readonly (string Key, string Title)[] Plotted =
    [
        ("reconstruction_nats_per_dim", "Reconstruction, nats/dim"),
        ("reconstruction_squared_error", "Squared error"),
        ("loss", "Loss"),
    ];

    private RunChain? chain;
    private IReadOnlyList<LinesSpec> curves = [];

    [Parameter]
    public string Id { get; set; } = "";

    [Inject]
    private MetricsStore Log { get; set; } = null!;

    protected override void Update()
    {
        chain = Catalog.Current.ById.GetValueOrDefault(Id) is { } last ? RunChain.EndingIn(last, Catalog.Current) : null;
        curves = chain is null
            ? []
            : [.. Plotted.Select(one => ChainCurve.Of(chain, Log, one.Key, one.Title)).Where(curve => curve.Series.Count > 0)];
    }

    private IEnumerable<RunMetric> Metrics() =>
        RunMetric.All.Where(metric => metric.Group == "test" && chain!.Runs.Any(run => metric.Value(run) is not null)).Take(6);
}
