using DQ.Core.Artifacts;
using DQ.Reports.Catalog;

namespace DQ.Reports.Sweeps;

/// <summary>A sweep's folder.</summary>
/// <param name="Id">Folder name.</param>
/// <param name="Record">Null where it can't be read.</param>
/// <param name="Problem">Why not; null otherwise.</param>
public sealed record SweepEntry(string Id, SweepRecord? Record, string? Problem)
{
    private const int Most = 1000;

    public int Completed => Record?.Cells.Count(cell => cell.Status == CellStatus.Completed) ?? 0;

    public int Failed => Record?.Cells.Count(cell => cell.Status == CellStatus.Failed) ?? 0;

    /// <summary>All of the artifacts folder, the latest first.</summary>
    public static IReadOnlyList<SweepEntry> All(ArtifactFolder folder) =>
        folder.Resolve(SweepLayout.Sweeps) is { } path && Directory.Exists(path)
            ?
            [
                .. Directory
                    .EnumerateDirectories(path)
                    .Take(Most)
                    .Select(Path.GetFileName)
                    .OfType<string>()
                    .Select(id => Find(folder, id))
                    .OfType<SweepEntry>()
                    .OrderByDescending(sweep => sweep.Record?.UpdatedUtc ?? DateTime.MinValue),
            ]
            : [];

    /// <summary>Null where there is no such sweep.</summary>
    public static SweepEntry? Find(ArtifactFolder folder, string id)
    {
        try
        {
            return folder.Record(SweepLayout.Sweeps, id, SweepLayout.Sweep) is { } path
                ? new(id, ArtifactJson.Read<SweepRecord>(path), null)
                : null;
        }
        catch (ArtifactException problem)
        {
            return new(id, null, problem.Message.Replace(folder.Root + Path.DirectorySeparatorChar, "", StringComparison.Ordinal));
        }
    }
}
