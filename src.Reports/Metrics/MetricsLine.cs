using System.Text.Json;

namespace DQ.Reports.Metrics;

/// <summary>
/// One line of <c>metrics.jsonl</c>, read as what it is: numbers with names. Per-codebook numbers become <c>perplexity.LEVEL.CODEBOOK</c>,
/// <c>revived.LEVEL.CODEBOOK</c> and <c>dead.LEVEL.CODEBOOK</c>.
/// </summary>
/// <remarks>Read by hand and not as a record: a page must show 100,000 lines at once, and a line of anything must not hurt.</remarks>
public static class MetricsLine
{
    /// <summary>Longer lines are no lines of ours.</summary>
    public const int LongestBytes = 1 << 18;

    /// Three for each of sixty codebooks, and a dozen others.
    private const int MostNames = 192;

    /// <summary>Adds the line to the table of its split; false where it is not one.</summary>
    /// <param name="line">Without its end.</param>
    /// <param name="tableOf">The table of a split's name; null for one that is not kept.</param>
    /// <param name="names">Names seen, by path, so that each is a string once.</param>
    public static bool Read(ReadOnlySpan<byte> line, Func<string, SeriesTable?> tableOf, Dictionary<string, string> names)
    {
        try
        {
            return ReadObject(line, tableOf, names);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool ReadObject(ReadOnlySpan<byte> line, Func<string, SeriesTable?> tableOf, Dictionary<string, string> names)
    {
        var values = new List<(string Name, double Value)>(32);
        string? split = null;
        var reader = new Utf8JsonReader(line, new() { MaxDepth = 8 });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = Name(reader.GetString()!, names);
            reader.Read();
            if (reader.TokenType == JsonTokenType.Number && reader.TryGetDouble(out var value))
                values.Add((name, value));
            else if (name == "split" && reader.TokenType == JsonTokenType.String)
                split = reader.GetString();
            else if (name == "levels" && reader.TokenType == JsonTokenType.StartArray)
                ReadLevels(ref reader, values, names);
            else
                reader.Skip();
        }
        if (reader.Read() || split is null || tableOf(split) is not { } table)
            return false;
        table.Begin();
        foreach (var (name, value) in values)
            if (table.Count < MostNames || table.Names.Contains(name))
                table.Add(name, value);
        return true;
    }

    private static void ReadLevels(ref Utf8JsonReader reader, List<(string, double)> values, Dictionary<string, string> names)
    {
        for (var level = 0; reader.Read() && reader.TokenType == JsonTokenType.StartObject; level++)
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var kind = reader.GetString()!;
                reader.Read();
                if (reader.TokenType != JsonTokenType.StartArray)
                {
                    reader.Skip();
                    continue;
                }
                for (var book = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; book++)
                    if (reader.TokenType == JsonTokenType.Number && reader.TryGetDouble(out var value) && values.Count < MostNames)
                        values.Add((Name($"{kind}.{level}.{book}", names), value));
                    else
                        reader.Skip();
            }
    }

    private static string Name(string name, Dictionary<string, string> names)
    {
        if (names.TryGetValue(name, out var known))
            return known;
        if (names.Count < MostNames)
            names[name] = name;
        return name;
    }
}
