using System.Text;

namespace DQ.Reports.Urls;

/// <summary>The query of a URL: names with one or several values, in the order they were set.</summary>
public sealed class Query
{
    private readonly List<(string Name, string Value)> pairs = [];

    public static Query Parse(string url)
    {
        var query = new Query();
        var start = url.IndexOf('?');
        var end = url.IndexOf('#') is >= 0 and var hash ? hash : url.Length;
        if (start >= 0 && start < end)
            foreach (var pair in url[(start + 1)..end].Split('&', StringSplitOptions.RemoveEmptyEntries).Take(500))
            {
                var parts = pair.Split('=', 2);
                query.pairs.Add((Decode(parts[0]), parts.Length == 2 ? Decode(parts[1]) : ""));
            }
        return query;
    }

    public string? this[string name] => pairs.Where(pair => pair.Name == name).Select(pair => pair.Value).FirstOrDefault();

    public IReadOnlyList<string> All(string name) => [.. pairs.Where(pair => pair.Name == name).Select(pair => pair.Value)];

    /// <summary>A whole number in a range; the fallback where there is none.</summary>
    public int Number(string name, int fallback, int least, int most) =>
        int.TryParse(this[name], System.Globalization.CultureInfo.InvariantCulture, out var value)
            ? Math.Clamp(value, least, most)
            : fallback;

    public bool Has(string name) => this[name] is "1" or "true";

    /// <summary>The same with this name set to these values only; none take it away, as do nulls and empty texts.</summary>
    public Query With(string name, params IEnumerable<string?> values)
    {
        var query = new Query();
        query.pairs.AddRange(pairs.Where(pair => pair.Name != name));
        query.pairs.AddRange(values.Where(value => !string.IsNullOrEmpty(value)).Select(value => (name, value!)));
        return query;
    }

    /// <summary>The same without this name, in whatever case it is written.</summary>
    public Query Without(string name)
    {
        var query = new Query();
        query.pairs.AddRange(pairs.Where(pair => !string.Equals(pair.Name, name, StringComparison.OrdinalIgnoreCase)));
        return query;
    }

    /// <summary>With its question mark; empty for nothing.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        foreach (var (name, value) in pairs)
            text.Append(text.Length == 0 ? '?' : '&').Append(Uri.EscapeDataString(name)).Append('=').Append(Uri.EscapeDataString(value));
        return text.ToString();
    }

    private static string Decode(string text) => Uri.UnescapeDataString(text.Replace('+', ' '));
}
