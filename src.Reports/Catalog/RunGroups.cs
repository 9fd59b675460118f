using DQ.Reports.Chains;
using DQ.Reports.Sweeps;
using DQ.Reports.Urls;

namespace DQ.Reports.Catalog;

/// <summary>Runs under a common name.</summary>
/// <param name="Total">Runs of it on all pages.</param>
/// <param name="Href">A page about it; null for none.</param>
public sealed record RunGroup(string Name, IReadOnlyList<RunEntry> Runs, int Total, string? Href = null);

/// <summary>Ways to put runs together in the table.</summary>
public static class RunGroups
{
    private const string Sweep = "sweep";
    private const string Chain = "chain";

    public static IReadOnlyList<(string Key, string Label)> Kinds { get; } =
    [("name", "by name"), ("data", "by data"), ("method", "by method"), ("status", "by status"), (Sweep, "by sweep"), (Chain, "by chain")];

    /// <summary>In the order of each group's first run, those in no sweep or chain last; one without a name where nothing is asked for.</summary>
    public static IReadOnlyList<RunGroup> Of(IReadOnlyList<RunEntry> runs, string kind, CatalogSnapshot snapshot, RecordCache records)
    {
        if (!Kinds.Any(known => known.Key == kind))
            return [new("", runs, runs.Count)];
        var members = kind switch
        {
            Sweep => OfSweeps(records),
            Chain => OfChains(snapshot, records),
            _ => null,
        };
        return
        [
            .. runs.GroupBy(run => members is null ? (Key(run, kind), null) : members.GetValueOrDefault(run.Id, ($"in no {kind}", null)))
                .Select(group => new RunGroup(group.Key.Item1, [.. group], group.Count(), group.Key.Item2))
                .OrderBy(group => members is not null && group.Href is null),
        ];
    }

    /// <summary>What of the groups is on a page.</summary>
    public static IReadOnlyList<RunGroup> Page(IReadOnlyList<RunGroup> groups, int skip, int take)
    {
        var page = new List<RunGroup>();
        foreach (var group in groups)
        {
            var runs = group.Runs.Skip(skip).Take(take).ToArray();
            if (runs.Length > 0)
                page.Add(group with { Runs = runs });
            (skip, take) = (Math.Max(0, skip - group.Runs.Count), take - runs.Length);
        }
        return page;
    }

    private static string Key(RunEntry run, string kind) =>
        (
            kind switch
            {
                "name" => run.Record?.Name,
                "data" => run.Dataset,
                "method" => run.Method,
                _ => run.Status,
            }
        )
            is { Length: > 0 } key
            ? key
            : "unknown";

    /// A run that two sweeps share is shown with the latest.
    private static Dictionary<string, (string, string?)> OfSweeps(RecordCache records)
    {
        var members = new Dictionary<string, (string, string?)>(StringComparer.Ordinal);
        foreach (var sweep in SweepEntry.All(records))
        foreach (var run in sweep.Record?.Cells.Select(cell => cell.Run).OfType<string>() ?? [])
            members.TryAdd(run, (sweep.Record!.Name, Links.Sweep(sweep.Id)));
        return members;
    }

    private static Dictionary<string, (string, string?)> OfChains(CatalogSnapshot snapshot, RecordCache records)
    {
        var members = new Dictionary<string, (string, string?)>(StringComparer.Ordinal);
        foreach (var chain in ChainEntry.All(records))
        foreach (var run in chain.Runs)
            members.TryAdd(run, (chain.Name, Links.Chain(chain.Id)));
        foreach (var chain in RunChain.All(snapshot))
        foreach (var run in chain.Runs)
            members.TryAdd(run.Id, (chain.Name, Links.Chain(chain.Id)));
        return members;
    }
}
