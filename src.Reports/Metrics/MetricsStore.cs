using System.Collections.Concurrent;
using DQ.Core.Artifacts;
using DQ.Reports.Catalog;

namespace DQ.Reports.Metrics;

/// <summary>The logs of the runs looked at lately; one reading serves every page.</summary>
public sealed class MetricsStore(ArtifactFolder folder)
{
    /// <summary>Runs kept; some megabytes each.</summary>
    private const int Most = 256;

    private readonly ConcurrentDictionary<string, (RunMetrics Metrics, long Used)> known = new(StringComparer.Ordinal);

    /// <summary>The series of a run as JSON; null where it has no log.</summary>
    public byte[]? Json(string run)
    {
        if (folder.Resolve(RunLayout.Runs, run, RunLayout.Metrics) is not { } path)
            return null;
        return Of(run).Refresh(path);
    }

    /// <summary>Looks at the series of a run as they are now; default where it has no log.</summary>
    public T? Look<T>(string run, Func<IReadOnlyDictionary<string, SeriesTable>, T> look) =>
        Json(run) is null ? default : Of(run).Look(look);

    /// <summary>Lines of a run's log that are none of a log, as far as it was read.</summary>
    public long UnreadableLines(string run) => known.TryGetValue(run, out var entry) ? entry.Metrics.UnreadableLines : 0;

    private RunMetrics Of(string run)
    {
        var metrics = known
            .AddOrUpdate(run, _ => (new(), Environment.TickCount64), (_, old) => (old.Metrics, Environment.TickCount64))
            .Metrics;
        if (known.Count > Most)
            foreach (var (id, _) in known.OrderBy(entry => entry.Value.Used).Take(known.Count - Most).ToArray())
                known.TryRemove(id, out _);
        return metrics;
    }
}
