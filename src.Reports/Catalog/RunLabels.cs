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
        var shared = labels[0]
            .Split('-')
            .TakeWhile((word, at) => labels.All(label => label.Split('-').ElementAtOrDefault(at) == word))
            .Sum(word => word.Length + 1);
        return labels.All(label => label.Length > shared) ? [.. labels.Select(label => label[shared..])] : labels;
    }

    private static string Label(RunEntry run, IReadOnlyList<RunEntry> namesakes) =>
        namesakes.Count == 1 ? run.Name
        : namesakes.Select(one => one.Record?.Seed).Distinct().Count() == namesakes.Count ? $"{run.Name} · seed {run.Record?.Seed}"
        : $"{run.Name} · {run.Id.Split('-')[^1]}";
}
