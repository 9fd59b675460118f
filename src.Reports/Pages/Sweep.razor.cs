using DQ.Reports.Catalog;
using DQ.Reports.Charts;
using DQ.Reports.Sweeps;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>One sweep: its claims, its tables beside published ones, its plots and its cells.</summary>
public sealed partial class Sweep
{
    private const string Metric = "metric";

    private SweepEntry? sweep;
    private IReadOnlyList<string> losses = [];
    private IReadOnlyList<string> metrics = [];
    private PlaneSpec plane = RatePlane.Of([], [], "test");
    private string metric = "";
    private string? axis;

    [Parameter]
    public string Id { get; set; } = "";

    [Inject]
    private ArtifactFolder Folder { get; set; } = null!;

    protected override void Update()
    {
        sweep = SweepEntry.Find(Folder, Id);
        if (sweep?.Record is not { } record)
            return;
        losses = [.. record.Rows.Select(row => row.Loss).Distinct()];
        metrics = [.. record.Rows.SelectMany(row => row.Metrics.Keys).Distinct().Order(StringComparer.Ordinal)];
        metric = Query[Metric] ?? losses.FirstOrDefault() ?? "";
        var axes = SweepPlot.Axes(record);
        axis = axes.FirstOrDefault(key => key == Query[Links.Names.Axis]) ?? SweepPlot.DefaultAxis(record);
        var runs = record
            .Cells.Select(cell => cell.Run)
            .OfType<string>()
            .Select(id => Catalog.Current.ById.GetValueOrDefault(id))
            .OfType<RunEntry>();
        plane = RatePlane.Of([], [.. runs], record.Split);
    }

    private static (string Class, string Text) Verdict(bool? holds) =>
        holds switch
        {
            true => ("yes", "✓ holds"),
            false => ("no", "✗ does not hold"),
            null => ("open", "? open"),
        };
}
