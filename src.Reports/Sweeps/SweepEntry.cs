using DQ.Core.Artifacts;
using DQ.Reports.Catalog;

namespace DQ.Reports.Sweeps;

/// <summary>A sweep's folder.</summary>
/// <param name="Id">Folder name.</param>
/// <param name="Record">Null where it can't be read.</param>
/// <param name="Problem">Why not; null otherwise.</param>
public sealed record SweepEntry(string Id, SweepRecord? Record, string? Problem)
{
    public int Completed => Record?.Cells.Count(cell => cell.Status == CellStatus.Completed) ?? 0;

    public int Failed => Record?.Cells.Count(cell => cell.Status == CellStatus.Failed) ?? 0;

    /// <summary>All of the artifacts folder, the latest first.</summary>
    public static IReadOnlyList<SweepEntry> All(RecordCache records) =>
        [
            .. records
                .Folders(SweepLayout.Sweeps)
                .Select(id => Find(records, id))
                .OfType<SweepEntry>()
                .OrderByDescending(sweep => sweep.Record?.UpdatedUtc ?? DateTime.MinValue),
        ];

    /// <summary>Null where there is no such sweep.</summary>
    public static SweepEntry? Find(RecordCache records, string id) =>
        records.Find<SweepRecord>(SweepLayout.Sweeps, id, SweepLayout.Sweep) is { } found ? new(id, found.Record, found.Problem) : null;
}
