using System.Text.Json;
using DQ.Reports.Catalog;
using DQ.Reports.Urls;

namespace DQ.Reports.Charts;

/// <summary>Where a chart fetches a run's series.</summary>
/// <param name="Href">The run's page; of an average, its runs side by side. Null for none.</param>
/// <param name="Group">Index of the average it belongs to; null where runs stand for themselves.</param>
public sealed record CurveSource(string Name, string Src, string? Href = null, int? Group = null)
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    public static string Json(IReadOnlyList<RunEntry> runs) =>
        JsonSerializer.Serialize(
            RunLabels.Of(runs).Zip(runs, (label, run) => new CurveSource(label, Links.Metrics(run.Id, run.Version), Links.Run(run.Id))),
            Options
        );

    /// <summary>Of averages: charts draw one line each, with a band of one deviation.</summary>
    public static string Json(IReadOnlyList<RunAverage> averages) =>
        JsonSerializer.Serialize(
            averages.SelectMany(
                (average, group) =>
                    average.Runs.Select(run => new CurveSource(
                        average.Label,
                        Links.Metrics(run.Id, run.Version),
                        average.Runs.Count == 1 ? Links.Run(run.Id) : Links.CompareRuns(average.Runs.Select(one => one.Id)),
                        group
                    ))
            ),
            Options
        );
}
