using DQ.Reports.Catalog;

namespace DQ.Reports.Metrics;

/// <summary>A run's log at a glance.</summary>
/// <param name="Loss">Of training, as many points as a small drawing has room for.</param>
/// <param name="Step">The last one logged; 0 for none.</param>
public sealed record Spark(IReadOnlyList<double> Loss, long Step)
{
    private const int Points = 48;

    public static Spark Of(RunEntry run, MetricsStore metrics) =>
        metrics.Look(
            run.Id,
            tables =>
            {
                var table = tables[RunMetrics.Train];
                var values = table.Means("loss").Where(double.IsFinite).ToArray();
                var stride = Math.Max(1, values.Length / Points);
                return new Spark(
                    [.. values.Where((_, i) => i % stride == 0 || i == values.Length - 1)],
                    (long)(table.Highest("step").Where(double.IsFinite).Append(0).Max())
                );
            }
        ) ?? new([], 0);
}
