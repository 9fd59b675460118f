using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Metrics;
using DQ.Reports.Text;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Components;

/// <summary>How far a run is by its log, which is ahead of its last checkpoint, and how long the rest takes at the pace of late.</summary>
public sealed partial class TrainingProgress
{
    private static readonly Dictionary<string, object?> BarAttributes = new() { ["aria-label"] = "Steps done" };

    private long step;
    private double? imagesPerSecond;
    private double? secondsPerStep;
    private (string Id, long Version) readFor;
    private bool reading;

    [Parameter, EditorRequired]
    public RunEntry Run { get; set; } = null!;

    [Inject]
    private MetricsStore Metrics { get; set; } = null!;

    private long Steps => Run.Record!.Steps;

    private long Done => Math.Max(Run.Record!.StepsDone, Math.Clamp(step, 0, Steps));

    private double Share => 100.0 * Done / Steps;

    private string Said =>
        string.Join(
            " · ",
            (
                (string[])
                    [
                        $"{Show.Count(Done)} of {Show.Count(Steps)} steps",
                        Run.Status == RunStatus.Running && imagesPerSecond is { } speed ? $"{Show.Number(speed, "N1")} images/s" : "",
                        Run.Status == RunStatus.Running && secondsPerStep is { } pace
                            ? $"about {Show.Duration(Math.Max(1, Math.Round(pace * (Steps - Done))))} of training left"
                            : "",
                    ]
            ).Where(part => part.Length > 0)
        );

    /// The log may be long: the page is there before it is read.
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (reading || readFor == (Run.Id, Run.Version))
            return;
        reading = true;
        var (id, wanted) = (Run.Id, (Run.Id, Run.Version));
        var read = await Task.Run(() => Metrics.Look(id, tables => Pace(tables[RunMetrics.Train])));
        (reading, readFor, step, imagesPerSecond, secondsPerStep) = (false, wanted, read.Step, read.Speed, read.Pace);
        StateHasChanged();
    }

    /// Over the last quarter of the rows: the first steps are slow, and machines change.
    private static (long Step, double? Speed, double? Pace) Pace(SeriesTable table)
    {
        var rows = table.Means("step").Zip(table.Means("seconds"), table.Means("images_seen")).ToArray();
        if (rows.Length == 0)
            return default;
        var (last, from) = (rows[^1], rows.Length < 2 ? default : rows[Math.Min(rows.Length - 2, 3 * rows.Length / 4)]);
        var seconds = last.Second - from.Second;
        return (
            (long)table.Highest("step").Last(double.IsFinite),
            seconds > 0 ? (last.Third - from.Third) / seconds : null,
            seconds > 0 && last.First > from.First ? seconds / (last.First - from.First) : null
        );
    }
}
