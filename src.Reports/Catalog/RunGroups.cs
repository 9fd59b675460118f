namespace DQ.Reports.Catalog;

/// <summary>Runs under a common name.</summary>
public sealed record RunGroup(string Name, IReadOnlyList<RunEntry> Runs);

/// <summary>Ways to put runs together in the table.</summary>
public static class RunGroups
{
    public static IReadOnlyList<(string Key, string Label)> Kinds { get; } =
    [("name", "by name"), ("data", "by data"), ("method", "by method"), ("status", "by status"), ("lineage", "by chain")];

    /// <summary>In the order of each group's first run; one without a name where nothing is asked for.</summary>
    public static IReadOnlyList<RunGroup> Of(IEnumerable<RunEntry> runs, string kind)
    {
        if (!Kinds.Any(known => known.Key == kind))
            return [new("", [.. runs])];
        return [.. runs.GroupBy(run => Key(run, kind)).Select(group => new RunGroup(group.Key, [.. group]))];
    }

    private static string Key(RunEntry run, string kind) =>
        (
            kind switch
            {
                "name" => run.Record?.Name,
                "data" => run.Dataset,
                "method" => run.Method,
                "lineage" => run.Record?.Parents.FirstOrDefault(parent => parent.Kind == "run")?.Id is { } parent
                    ? $"went on from {parent}"
                    : "from the start",
                _ => run.Status,
            }
        )
            is { Length: > 0 } key
            ? key
            : "unknown";
}
