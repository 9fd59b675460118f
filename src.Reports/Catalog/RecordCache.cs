using System.Collections.Concurrent;
using DQ.Core.Artifacts;

namespace DQ.Reports.Catalog;

/// <param name="Record">Null where it can't be read.</param>
/// <param name="Problem">Why not; null otherwise.</param>
public sealed record FoundRecord<T>(T? Record, string? Problem)
    where T : class;

/// <summary>Records that pages look at again and again: read again when their file changed.</summary>
public sealed class RecordCache(ArtifactFolder folder)
{
    /// <summary>Sweeps or chains listed.</summary>
    private const int MostFolders = 1000;

    private const int MostKept = 4 * MostFolders;

    private readonly ConcurrentDictionary<string, (FileStamp Stamp, object Found)> known = new(StringComparer.Ordinal);

    /// <summary>Names of the folders in a folder.</summary>
    public IReadOnlyList<string> Folders(string place) =>
        folder.Resolve(place) is { } path && Directory.Exists(path)
            ? [.. Directory.EnumerateDirectories(path).Take(MostFolders).Select(Path.GetFileName).OfType<string>()]
            : [];

    /// <summary>Null where there is no such file.</summary>
    public FoundRecord<T>? Find<T>(params ReadOnlySpan<string> parts)
        where T : class, IArtifact
    {
        try
        {
            if (folder.Record(parts) is not { } path)
                return null;
            var stamp = FileStamp.Of(path);
            if (known.TryGetValue(path, out var seen) && seen.Stamp == stamp)
                return (FoundRecord<T>)seen.Found;
            if (known.Count >= MostKept)
                known.Clear();
            var found = Read<T>(path);
            known[path] = (stamp, found);
            return found;
        }
        catch (ArtifactException problem)
        {
            return new(null, folder.Short(problem.Message));
        }
    }

    private FoundRecord<T> Read<T>(string path)
        where T : class, IArtifact
    {
        try
        {
            return new(ArtifactJson.Read<T>(path), null);
        }
        catch (ArtifactException problem)
        {
            return new(null, folder.Short(problem.Message));
        }
    }
}
