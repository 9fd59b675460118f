using System.Globalization;
using DQ.Reports.Statistics;

namespace DQ.Reports.Catalog;

/// <summary>Runs as a table for other programs: every metric, full precision.</summary>
public static class RunsCsv
{
    public static string Of(IEnumerable<RunEntry> runs)
    {
        IEnumerable<string> header =
        [
            "id",
            "name",
            "status",
            "data",
            "method",
            "likelihood",
            "tags",
            "started_utc",
            .. RunMetric.All.Select(metric => metric.Key),
        ];
        var lines = runs.Select(run =>
            Line([
                run.Id,
                run.Name,
                run.Status,
                run.Dataset,
                run.Method,
                run.Likelihood,
                string.Join(' ', run.Annotation.Tags),
                run.StartedUtc?.ToString("O", CultureInfo.InvariantCulture) ?? "",
                .. RunMetric.All.Select(metric => metric.Value(run)?.ToString("R", CultureInfo.InvariantCulture) ?? ""),
            ])
        );
        return string.Concat([Line(header), .. lines]);
    }

    /// <summary>Of averages: mean, sample deviation and count of every metric.</summary>
    public static string Of(IEnumerable<RunAverage> averages)
    {
        IEnumerable<string> header =
        [
            "name",
            "runs",
            "data",
            "method",
            .. RunMetric.All.SelectMany(metric => (string[])[metric.Key, $"{metric.Key}_deviation", $"{metric.Key}_n"]),
        ];
        var lines = averages.Select(average =>
            Line([
                average.Name,
                string.Join(' ', average.Runs.Select(run => run.Id)),
                average.Runs[0].Dataset,
                average.Runs[0].Method,
                .. RunMetric.All.SelectMany(metric => Cells(Sample.Of(average.Runs.Select(metric.Value)))),
            ])
        );
        return string.Concat([Line(header), .. lines]);
    }

    private static string[] Cells(Sample? sample) =>
        [
            sample?.Mean.ToString("R", CultureInfo.InvariantCulture) ?? "",
            sample?.Deviation?.ToString("R", CultureInfo.InvariantCulture) ?? "",
            sample?.Count.ToString(CultureInfo.InvariantCulture) ?? "",
        ];

    private static string Line(IEnumerable<string> cells) => string.Join(',', cells.Select(Cell)) + "\n";

    /// A leading = + - @ would be a formula to a spreadsheet; names may hold anything.
    private static string Cell(string text)
    {
        var safe = text.Length > 0 && "=+@\t".Contains(text[0]) ? "'" + text : text;
        return safe.AsSpan().IndexOfAny("\",\n\r") >= 0 ? $"\"{safe.Replace("\"", "\"\"")}\"" : safe;
    }
}
