namespace DQ.Core.Formats;

/// <summary>An INI file as Python's <c>configparser</c> reads it, without interpolation: values by section and key.</summary>
internal static class IniFile
{
    /// <exception cref="WeightsException">The file cannot be read, or a line is neither a section nor a setting nor a comment.</exception>
    public static IReadOnlyDictionary<string, Dictionary<string, string>> Read(string path)
    {
        var sections = new Dictionary<string, Dictionary<string, string>>(StringComparer.Ordinal);
        Dictionary<string, string>? section = null;
        string? key = null;
        foreach (var (line, number) in Lines(path).Select((line, index) => (line, index + 1)))
        {
            var text = line.Trim();
            if (text.Length == 0 || text[0] is '#' or ';')
                continue;
            var delimiter = text.IndexOfAny(['=', ':']);
            if (char.IsWhiteSpace(line[0]) && section is not null && key is not null)
                section[key] += $"\n{text}"; // an indented line continues the value above
            else if (text is ['[', .. var name, ']'])
            {
                key = null;
                section = [];
                if (!sections.TryAdd(name, section))
                    throw Wrong($"expected each section once, found [{name}] again");
            }
            else if (section is null || delimiter <= 0)
                throw Wrong($"expected [section] or key = value, found {WeightsException.Quote(text)}");
            else
            {
                key = text[..delimiter].TrimEnd().ToLowerInvariant();
                if (!section.TryAdd(key, text[(delimiter + 1)..].TrimStart()))
                    throw Wrong($"expected each key once in a section, found {WeightsException.Quote(key)} again");
            }

            WeightsException Wrong(string what) => new($"{path}: line {number}: {what}");
        }
        return sections;
    }

    private static string[] Lines(string path)
    {
        try
        {
            return File.ReadAllLines(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new WeightsException($"{path}: expected a readable configuration: {error.Message}", error);
        }
    }
}
