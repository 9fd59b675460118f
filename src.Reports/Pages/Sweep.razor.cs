using DQ.Core.Artifacts;
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
    private IReadOnlyList<string> done = [];
    private bool several;
    private IReadOnlyList<string> metrics = [];
    private PlaneSpec plane = RatePlane.Of([], [], "test");
    private IReadOnlyList<RunMetric> numbers = [];
    private string metric = "";
    private bool placed;
    private string rate = RatePlane.Uniform;
    private string? axis;

    [Parameter]
    public string Id { get; set; } = "";

    [Inject]
    private RecordCache Records { get; set; } = null!;

    protected override void Update()
    {
        sweep = SweepEntry.Find(Records, Id);
        if (sweep is null)
            Missing();
        if (sweep?.Record is not { } record)
            return;
        done = [.. record.Cells.Select(cell => cell.Run).OfType<string>().Distinct()];
        several = record.Cells.Select(cell => cell.Seed).Distinct().Count() > 1;
        losses = [.. record.Rows.Select(row => row.Loss).Distinct()];
        metrics = [.. record.Rows.SelectMany(row => row.Metrics.Keys).Distinct().Order(StringComparer.Ordinal)];
        numbers =
        [
            .. losses
                .Select(loss => RunMetric.Find($"{record.Split}_{loss}") ?? RunMetric.Find("accuracy_percent"))
                .OfType<RunMetric>()
                .Distinct(),
        ];
        metric = Query[Metric] ?? losses.FirstOrDefault() ?? "";
        var axes = SweepPlot.Axes(record);
        axis = axes.FirstOrDefault(key => key == Query[Links.Names.Axis]) ?? SweepPlot.DefaultAxis(record);
        var cells = record.Cells.Where(cell => cell.Run is not null).ToLookup(cell => cell.Run!);
        var runs = cells.Select(cell => Catalog.Current.ById.GetValueOrDefault(cell.Key)).OfType<RunEntry>().ToArray();
        placed = runs.Any(run => run.Split(record.Split)?.ReconstructionBitsPerDim is not null);
        rate = Query[Links.Names.Rate] is RatePlane.Empirical ? RatePlane.Empirical : RatePlane.Uniform;
        plane = RatePlane.Of([], runs, record.Split, rate, run => NameOf(record, cells[run.Id].First()));
    }

    /// By what it does not share with all others; the quantizer is the points' colour.
    private static string NameOf(SweepRecord sweep, SweepCell cell)
    {
        var keys = SweepPlot
            .Axes(sweep)
            .Where(key => key != "model.quantizer.kind")
            .Select(key => SweepPlot.Named(key, cell.Settings[key]));
        var seeds = sweep.Cells.Select(one => one.Seed).Distinct().Count();
        return string.Join(" · ", seeds > 1 ? keys.Append($"seed {cell.Seed}") : keys);
    }

    private static (string Class, string Text) Verdict(bool? holds) =>
        holds switch
        {
            true => ("yes", "✓ holds"),
            false => ("no", "✗ does not hold"),
            null => ("open", "? open"),
        };
}
