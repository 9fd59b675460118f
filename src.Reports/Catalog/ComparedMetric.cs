using System.Globalization;

namespace DQ.Reports.Catalog;

/// <summary>A metric over several runs.</summary>
/// <param name="Best">Per run: whether none on the same images is better. Nobody is where all are the same, or the metric has no better end.</param>
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
        // numbers on other images are no rivals, nor are those on images nobody knows
        var images = runs.Select(run =>
                metric.OnAnyImages ? ""
                : run.ImagesId.Length > 0 ? run.ImagesId
                : run.Id
            )
            .ToArray();
        var best = images
            .Zip(values)
            .Where(one => one.Second is not null)
            .GroupBy(one => one.First, one => one.Second!.Value)
            .ToDictionary(group => group.Key, group => BestOf(metric, [.. group.Distinct()]));
        return new(
            metric,
            [.. images.Zip(values, (of, value) => value is not null && best[of] == value)],
            [.. values.Select(value => value?.ToString("R", CultureInfo.InvariantCulture) ?? "")]
        );
    }

    private static double? BestOf(RunMetric metric, IReadOnlyList<double> values) =>
        values.Count < 2 || metric.Better == Better.Neither ? null
        : metric.Better == Better.Lower ? values.Min()
        : values.Max();
}
