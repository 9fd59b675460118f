using DQ.Core.Artifacts;

namespace DQ.Reports.Catalog;

/// <summary>Runs that went on from one another, such as a model trained at growing image sizes; the first is the oldest.</summary>
public sealed record RunChain(IReadOnlyList<RunEntry> Runs)
{
    /// <summary>Known by its last run.</summary>
    public string Id => Runs[^1].Id;

    public string Name => Runs[^1].Name;

    /// <summary>All of at least two runs, the latest first. A run that two went on from is in both chains.</summary>
    public static IReadOnlyList<RunChain> All(CatalogSnapshot snapshot)
    {
        var continued = snapshot.Runs.Select(ParentOf).OfType<string>().ToHashSet(StringComparer.Ordinal);
        return
        [
            .. snapshot
                .Runs.Where(run => !continued.Contains(run.Id))
                .Select(run => EndingIn(run, snapshot))
                .Where(chain => chain.Runs.Count > 1),
        ];
    }

    /// <summary>The run and all it came from.</summary>
    public static RunChain EndingIn(RunEntry last, CatalogSnapshot snapshot)
    {
        var runs = new List<RunEntry> { last };
        // records are files: one may name itself
        while (ParentOf(runs[^1]) is { } id && snapshot.ById.GetValueOrDefault(id) is { } parent && !runs.Contains(parent))
            runs.Add(parent);
        runs.Reverse();
        return new(runs);
    }

    /// <summary>Side of the images it trained on, in pixels; null where its configuration does not say.</summary>
    public static int? ImageSize(RunEntry run) =>
        run.Record?.Config["data"]?["image_size"] is System.Text.Json.Nodes.JsonValue value && value.TryGetValue<int>(out var size)
            ? size
            : null;

    /// Trained from its weights: what was measured on a run is no later part of it.
    private static string? ParentOf(RunEntry run) =>
        run.Record is { Kind: RunKind.Train } record ? record.Parents.FirstOrDefault(parent => parent.Kind == "run")?.Id : null;
}
