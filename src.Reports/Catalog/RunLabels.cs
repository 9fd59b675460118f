namespace DQ.Reports.Catalog;

/// <summary>Names that tell runs apart: several may have the same.</summary>
public static class RunLabels
{
    /// <summary>By run: its name; with its seed where others have the same name, with the end of its id where the seed does not tell either.</summary>
    public static IReadOnlyList<string> Of(IReadOnlyList<RunEntry> runs)
    {
        var namesakes = runs.ToLookup(run => run.Name);
        return [.. runs.Select(run => Label(run, [.. namesakes[run.Name]]))];
    }

    private static string Label(RunEntry run, IReadOnlyList<RunEntry> namesakes) =>
        namesakes.Count == 1 ? run.Name
        : namesakes.Select(one => one.Record?.Seed).Distinct().Count() == namesakes.Count ? $"{run.Name} · seed {run.Record?.Seed}"
        : $"{run.Name} · {run.Id.Split('-')[^1]}";
}
