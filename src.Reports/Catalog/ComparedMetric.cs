using System.Globalization;

namespace DQ.Reports.Catalog;

/// <summary>A metric over several runs.</summary>
/// <param name="Best">Per run: whether none is better. Nobody is where all are the same, or the metric has no better end.</param>
/// <param name="Raw">Per run, in full precision; empty for none.</param>
public sealed record ComparedMetric(RunMetric Metric, IReadOnlyList<bool> Best, IReadOnlyList<string> Raw)
{
    /// <summary>Those that at least one of the runs has.</summary>
    public static IReadOnlyList<ComparedMetric> Of(IReadOnlyList<RunEntry> runs) =>
        [.. RunMetric.All.Select(metric => Of(metric, runs)).Where(row => row.Raw.Any(raw => raw.Length > 0))];

    private static ComparedMetric Of(RunMetric metric, IReadOnlyList<RunEntry> runs)
    {
        var values = runs.Select(metric.Value)
            .Select(value => value is { } number && double.IsFinite(number) ? number : (double?)null)
            .ToArray();
        var known = values.OfType<double>().Distinct().ToArray();
        double? best =
            known.Length < 2 || metric.Better == Better.Neither ? null
            : metric.Better == Better.Lower ? known.Min()
            : known.Max();
        return new(
            metric,
            [.. values.Select(value => best is not null && value == best)],
            [.. values.Select(value => value?.ToString("R", CultureInfo.InvariantCulture) ?? "")]
        );
    }
}
