using DQ.Reports.Catalog;
using DQ.Reports.Metrics;

namespace DQ.Reports.Charts;

/// <summary>A metric along a whole chain: one axis of images seen, with a mark where each run begins.</summary>
public static class ChainCurve
{
    public static LinesSpec Of(RunChain chain, MetricsStore metrics, string metric, string title)
    {
        var lines = new List<Line>();
        var marks = new List<LineMark>();
        var begin = 0.0;
        for (var i = 0; i < chain.Runs.Count; i++)
        {
            var (run, start) = (chain.Runs[i], begin);
            var name = RunChain.ImageSize(run) is { } size ? $"{size} px" : run.Name;
            var line = chain.Runs.Count(one => RunChain.ImageSize(one) == RunChain.ImageSize(run)) == 1 ? name : run.Name;
            marks.Add(new(start, name));
            var series = metrics.Look(
                run.Id,
                tables => tables.ToDictionary(table => table.Key, table => Points(table.Value, metric, start))
            );
            foreach (var (split, points) in series ?? [])
                if (points.Count > 0)
                    lines.Add(
                        new($"{line}, {split}", points, Dashed: split == RunMetrics.Validation, Plain: split == RunMetrics.Train, Color: i)
                    );
            begin += run.Trained?.ImagesSeen ?? 0;
        }
        return new()
        {
            Title = title,
            XName = "images seen",
            YName = title,
            Series = lines,
            Marks = marks,
        };
    }

    private static IReadOnlyList<double?[]> Points(SeriesTable table, string metric, double start) =>
        [
            .. table
                .Means("images_seen")
                .Zip(table.Means(metric))
                .Where(pair => double.IsFinite(pair.First) && double.IsFinite(pair.Second))
                .Select(pair => new double?[] { start + pair.First, pair.Second }),
        ];
}
