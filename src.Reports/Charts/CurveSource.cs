using System.Text.Json;
using DQ.Reports.Catalog;
using DQ.Reports.Urls;

namespace DQ.Reports.Charts;

/// <summary>Where a chart fetches a run's series.</summary>
public sealed record CurveSource(string Name, string Src)
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    public static string Json(IReadOnlyList<RunEntry> runs) =>
        JsonSerializer.Serialize(
            RunLabels.Of(runs).Zip(runs, (label, run) => new CurveSource(label, Links.Metrics(run.Id, run.Version))),
            Options
        );
}
