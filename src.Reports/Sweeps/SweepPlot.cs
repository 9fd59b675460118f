using System.Text.Json.Nodes;
using DQ.Core.Artifacts;
using DQ.Reports.Charts;
using DQ.Reports.Text;

namespace DQ.Reports.Sweeps;

/// <summary>A metric of a sweep against one of its keys, a line for each setting of the others.</summary>
public static class SweepPlot
{
    private const int MostLabels = 8;

    /// <summary>A setting's value as text, such as <c>depthwise</c> or <c>[128,256]</c>.</summary>
    public static string Text(JsonNode? value) =>
        value is JsonValue leaf && leaf.TryGetValue<string>(out var text) ? Show.Words(text) : value?.ToJsonString() ?? "null";

    /// <summary>The same with what it is a value of, where that isn't plain, such as <c>codebooks 3</c>.</summary>
    public static string Named(string key, JsonNode? value) =>
        key.EndsWith(".kind", StringComparison.Ordinal) ? Text(value) : $"{Show.Words(key.Split('.')[^1])} {Text(value)}";

    /// <summary>Keys with more than one value: what can be plotted against.</summary>
    public static IReadOnlyList<string> Axes(SweepRecord sweep) =>
        [.. sweep.Keys.Where(key => sweep.Rows.Select(row => Text(row.Settings[key])).Distinct().Count() > 1)];

    /// <summary>The axis shown where none is asked for: the first that counts something, else the first.</summary>
    public static string? DefaultAxis(SweepRecord sweep) =>
        Axes(sweep) is { Count: > 0 } axes
            ? axes.FirstOrDefault(key => sweep.Rows.All(row => Number(row.Settings[key]) is not null)) ?? axes[0]
            : null;

    /// <param name="loss">Rows of this loss only: others are in other units.</param>
    public static LinesSpec Of(SweepRecord sweep, string loss, string metric, string axis)
    {
        var rows = sweep.Rows.Where(row => row.Loss == loss).ToArray();
        // few values stand at equal distances: they mostly double
        var numeric =
            rows.All(row => Number(row.Settings[axis]) is not null)
            && rows.Select(row => Text(row.Settings[axis])).Distinct().Count() > MostLabels;
        var values = rows.Select(row => row.Settings[axis]).DistinctBy(Text).OrderBy(value => Number(value) ?? 0).ToArray();
        var labels = values.Select(Text).ToArray();
        double Place(SweepRow row) => numeric ? Number(row.Settings[axis])!.Value : Array.IndexOf(labels, Text(row.Settings[axis]));
        var groups = rows.GroupBy(row =>
                string.Join(
                    " · ",
                    sweep.Keys.Where(key => key != axis && Axes(sweep).Contains(key)).Select(key => Named(key, row.Settings[key]))
                )
            )
            .OrderBy(group => group.Key, StringComparer.Ordinal)
            .ToArray();
        var lines = new List<Line>();
        for (var i = 0; i < groups.Length; i++)
        {
            var name = groups[i].Key.Length == 0 ? "ours" : groups[i].Key;
            var ours = groups[i].Where(row => row.Metrics.ContainsKey(metric)).OrderBy(Place);
            lines.Add(
                new(
                    name,
                    [.. ours.Select(row => new[] { Place(row), row.Metrics[metric].Mean, row.Metrics[metric].SampleDeviation })],
                    Color: i
                )
            );
            double?[][] published =
            [
                .. groups[i]
                    .Where(row => row.Published.ContainsKey(metric))
                    .OrderBy(Place)
                    .Select(row => new double?[] { Place(row), row.Published[metric].Value }),
            ];
            if (published.Length > 0)
                lines.Add(new($"{name}, published", published, Dashed: true, Color: i));
        }
        return new()
        {
            Title = $"{Show.Words(metric)} by {axis}",
            XName = axis,
            YName = Show.Words(metric),
            X = numeric ? null : labels,
            Series = [.. lines.Where(line => line.Points.Count > 0)],
        };
    }

    private static double? Number(JsonNode? value) =>
        value switch
        {
            // one level's number of codes is a number too
            JsonArray { Count: 1 } only => Number(only[0]),
            JsonValue leaf when leaf.TryGetValue<double>(out var number) => number,
            _ => null,
        };
}
