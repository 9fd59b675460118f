using System.Text.Json;
using DQ.Reports.Catalog;
using DQ.Reports.Urls;

namespace DQ.Reports.Charts;

/// <summary>Where a chart fetches a run's series.</summary>
public sealed record CurveSource(string Name, string Src)
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    public static string Json(IEnumerable<RunEntry> runs) =>
        JsonSerializer.Serialize(runs.Select(run => new CurveSource(run.Name, Links.Metrics(run.Id, run.Version))), Options);
}
