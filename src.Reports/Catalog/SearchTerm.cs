using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace DQ.Reports.Catalog;

/// <summary>One condition of a search.</summary>
/// <param name="Fits">Whether a run meets it.</param>
/// <param name="Setting">The setting or number it asks for; null for none.</param>
public sealed record SearchTerm(Func<RunEntry, bool> Fits, string? Setting = null)
{
    private static readonly IReadOnlyDictionary<string, Func<RunEntry, IEnumerable<string>>> Fields = new Dictionary<
        string,
        Func<RunEntry, IEnumerable<string>>
    >(StringComparer.OrdinalIgnoreCase)
    {
        ["name"] = run => [run.Name],
        ["id"] = run => [run.Id],
        ["data"] = run => [run.Dataset],
        ["method"] = run => [run.Method],
        ["status"] = run => [run.Status],
        ["stage"] = run => [run.Kind],
        ["likelihood"] = run => [run.Likelihood],
        ["note"] = run => [run.Annotation.Note],
        ["tag"] = run => run.Annotation.Tags,
    };

    private static readonly IReadOnlyDictionary<string, string> Short = new Dictionary<string, string>
    {
        ["lr"] = "learning_rate",
        ["bs"] = "batch_size",
    };

    /// The longer first: <c>&gt;=</c> also begins with <c>&gt;</c>.
    private static readonly string[] Comparisons = [">=", "<=", "!=", ">", "<", "="];

    /// <exception cref="ArgumentException">It is a regular expression that can't be read; the message has why.</exception>
    public static SearchTerm Of(string text)
    {
        if (text.Length > 1 && text[0] == '/' && text[^1] == '/')
            return Matching(text[1..^1]);
        var at = text.AsSpan().IndexOfAny("<>=!:");
        if (at > 0 && text[at] == ':' && Fields.TryGetValue(text[..at], out var field))
            return new(run => field(run).Any(value => Has(value, text[(at + 1)..])));
        if (
            at > 0
            && Comparisons.FirstOrDefault(one => text.AsSpan(at).StartsWith(one)) is { } comparison
            && text.Length > at + comparison.Length
        )
            return Comparing(text[..at], comparison, text[(at + comparison.Length)..]);
        return new(run => Mentions(run, text));
    }

    /// <summary>Values of a setting by its last part or its whole key, and of a metric by its key.</summary>
    internal static IEnumerable<(double? Number, string Text)> Values(RunEntry run, string key)
    {
        if (run.Record is { } record)
            foreach (var (path, node) in Leaves(record.Config, ""))
                if (
                    path == key
                    || (path.Length > key.Length && path[^(key.Length + 1)] == '.' && path.EndsWith(key, StringComparison.Ordinal))
                )
                    yield return (RunSetting.Number(node), RunSetting.Text(node));
        if (RunMetric.All.FirstOrDefault(metric => metric.Key == key) is { } metric && metric.Value(run) is { } value)
            yield return (value, metric.Text(run));
    }

    private static SearchTerm Matching(string pattern)
    {
        // takes time in proportion to the text, whatever the expression
        var regex = new Regex(pattern, RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
        return new(run => Texts(run).Any(regex.IsMatch));
    }

    private static SearchTerm Comparing(string name, string comparison, string wanted)
    {
        var key = Short.GetValueOrDefault(name, name);
        if (Fields.TryGetValue(key, out var field) && comparison is "=" or "!=")
            return new(run =>
                field!(run).Any(value => string.Equals(value, wanted, StringComparison.OrdinalIgnoreCase)) == (comparison == "=")
            );
        double? number = double.TryParse(wanted, NumberStyles.Float, CultureInfo.InvariantCulture, out var parsed) ? parsed : null;
        return new(run => Values(run, key).Any(value => Holds(value, comparison, wanted, number)), key);
    }

    private static bool Holds((double? Number, string Text) value, string comparison, string wanted, double? number)
    {
        var same =
            value.Number is { } one && number is { } other
                ? one == other
                : string.Equals(value.Text.Replace(", ", ","), wanted, StringComparison.OrdinalIgnoreCase)
                    || string.Equals(value.Text, wanted.Replace('_', ' '), StringComparison.OrdinalIgnoreCase);
        return comparison switch
        {
            "=" => same,
            "!=" => !same,
            ">" => value.Number > number,
            "<" => value.Number < number,
            ">=" => value.Number >= number,
            _ => value.Number <= number,
        };
    }

    private static IEnumerable<(string Path, JsonNode? Node)> Leaves(JsonObject tree, string prefix)
    {
        foreach (var (name, node) in tree)
            if (node is JsonObject inner)
                foreach (var leaf in Leaves(inner, $"{prefix}{name}."))
                    yield return leaf;
            else
                yield return (prefix + name, node);
    }

    private static bool Mentions(RunEntry run, string word) => Texts(run).Any(text => Has(text, word));

    private static IEnumerable<string> Texts(RunEntry run) =>
        [run.Id, run.Name, run.Dataset, run.Kind, run.Method, run.Likelihood, run.Status, run.Annotation.Note, .. run.Annotation.Tags];

    private static bool Has(string text, string word) => text.Contains(word, StringComparison.OrdinalIgnoreCase);
}
