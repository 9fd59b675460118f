using DQ.Reports.Statistics;

namespace DQ.Reports.Catalog;

/// <summary>A metric over several averages.</summary>
/// <param name="Samples">Per average; null where no run of it has the number.</param>
/// <param name="Best">Per average: whether Welch's test separates it from every other one on the same images, and it is better.</param>
/// <param name="Undecided">One of them is better than the others, but is not separated from all of them.</param>
public sealed record AveragedMetric(RunMetric Metric, IReadOnlyList<Sample?> Samples, IReadOnlyList<bool> Best, bool Undecided)
{
    /// <summary>Those that at least one of the runs has.</summary>
    public static IReadOnlyList<AveragedMetric> Of(IReadOnlyList<RunAverage> averages) =>
        [.. RunMetric.All.Select(metric => Of(metric, averages)).Where(row => row.Samples.Any(sample => sample is not null))];

    public static AveragedMetric Of(RunMetric metric, IReadOnlyList<RunAverage> averages)
    {
        Sample?[] samples = [.. averages.Select(average => Sample.Of(average.Runs.Select(metric.Value)))];
        var best = new bool[samples.Length];
        var undecided = false;
        // numbers on other images are no rivals
        var rivals = Enumerable
            .Range(0, samples.Length)
            .Where(at =>
                metric.Better != Better.Neither && samples[at] is not null && (metric.OnAnyImages || averages[at].ImagesId.Length > 0)
            )
            .GroupBy(at => metric.OnAnyImages ? "" : averages[at].ImagesId);
        foreach (var on in rivals.Select(group => group.ToArray()).Where(group => group.Length > 1))
        {
            var first = metric.Better == Better.Lower ? on.MinBy(at => samples[at]!.Mean) : on.MaxBy(at => samples[at]!.Mean);
            best[first] = on.All(at => at == first || WelchTest.Separates(samples[first]!, samples[at]!));
            undecided |= !best[first];
        }
        return new(metric, samples, best, undecided);
    }
}
