using System.Globalization;

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

    private static string Line(IEnumerable<string> cells) => string.Join(',', cells.Select(Cell)) + "\n";

    /// A leading = + - @ would be a formula to a spreadsheet; names may hold anything.
    private static string Cell(string text)
    {
        var safe = text.Length > 0 && "=+@\t".Contains(text[0]) ? "'" + text : text;
        return safe.AsSpan().IndexOfAny("\",\n\r") >= 0 ? $"\"{safe.Replace("\"", "\"\"")}\"" : safe;
    }
}
