namespace DQ.Reports.Catalog;

/// <summary>Names that tell runs apart: several may have the same.</summary>
public static class RunLabels
{
    private const int Long = 24;

    /// <summary>By run: its name; with its seed where others have the same name, with the end of its id where the seed does not tell either.</summary>
    public static IReadOnlyList<string> Of(IReadOnlyList<RunEntry> runs)
    {
        var namesakes = runs.ToLookup(run => run.Name);
        return Shortened([.. runs.Select(run => Label(run, [.. namesakes[run.Name]]))]);
    }

    /// Without the words that all of several long names begin with.
    private static IReadOnlyList<string> Shortened(IReadOnlyList<string> labels)
    {
        if (labels.Count < 3 || labels.Max(label => label.Length) <= Long)
            return labels;
        string[][] words = [.. labels.Select(label => label.Split('-'))];
        var shared = words[0].TakeWhile((word, at) => words.All(one => one.ElementAtOrDefault(at) == word)).Count();
        // a number says nothing without the word before it
        if (shared > 0 && words.Any(one => one.ElementAtOrDefault(shared) is [>= '0' and <= '9', ..]))
            shared--;
        return words.All(one => one.Length > shared) ? [.. words.Select(one => string.Join('-', one[shared..]))] : labels;
    }

    private static string Label(RunEntry run, IReadOnlyList<RunEntry> namesakes) =>
        namesakes.Count == 1 ? run.Name
        : namesakes.Select(one => one.Record?.Seed).Distinct().Count() == namesakes.Count ? $"{run.Name} · seed {run.Record?.Seed}"
        : $"{run.Name} · {run.Id.Split('-')[^1]}";
}
