using System.Globalization;
using DQ.Core.Formats;

namespace DQ.Core.Published;

/// <summary>Reads texts in the same way as the published configuration's types, and collects all problems.</summary>
internal sealed class PublishedValues(IReadOnlyDictionary<string, string> settings, IReadOnlyDictionary<string, string> defaults)
{
    private readonly List<string> problems = [];

    public IReadOnlyList<string> Problems => problems;

    public string Text(string name) => settings.TryGetValue(name, out var value) ? value : defaults[name];

    public int Integer(string name) => TryInteger(Text(name), out var value) ? value : Wrong<int>(name, "an integer");

    public double Number(string name) =>
        double.TryParse(Text(name), NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? value
            : Wrong<double>(name, "a number");

    /// <summary>An integer of at least 1.</summary>
    public int Count(string name) =>
        TryInteger(Text(name), out var value) && value >= 1 ? value : Wrong<int>(name, "an integer of at least 1");

    /// <summary>A list such as <c>[128, 256]</c>.</summary>
    public int[] Integers(string name)
    {
        var text = Text(name).Trim();
        if (text is not ['[' or '(', .. var inner, ']' or ')'])
            return Wrong<int[]>(name, "a list of integers such as [128, 256]") ?? [];
        var words = inner.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var numbers = words.Where(word => TryInteger(word, out _)).Select(word => int.Parse(word, CultureInfo.InvariantCulture)).ToArray();
        return numbers.Length == words.Length ? numbers : Wrong<int[]>(name, "a list of integers such as [128, 256]") ?? [];
    }

    public string Choice(string name, params (string Theirs, string Ours)[] choices)
    {
        var index = Array.FindIndex(choices, choice => choice.Theirs == Text(name));
        return index >= 0
            ? choices[index].Ours
            : Wrong<string>(name, $"one of {string.Join(", ", choices.Select(choice => choice.Theirs))}") ?? choices[0].Ours;
    }

    private static bool TryInteger(string text, out int value) =>
        int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out value);

    private T? Wrong<T>(string name, string expected)
    {
        problems.Add($"{name}: expected {expected}, got {WeightsException.Quote(Text(name))}");
        return default;
    }
}
