using DQ.Core.Artifacts;
using DQ.Reports.Catalog;

namespace DQ.Reports.Chains;

/// <summary>A chain's folder, as <c>dq progressive</c> writes it.</summary>
/// <param name="Id">Folder name.</param>
/// <param name="Record">Null where it can't be read.</param>
/// <param name="Problem">Why not; null otherwise.</param>
public sealed record ChainEntry(string Id, ChainRecord? Record, string? Problem)
{
    public string Name => Record?.Name ?? Id;

    /// <summary>Ids of the runs of its stages, and of the training from scratch.</summary>
    public IEnumerable<string> Runs =>
        (Record?.Stages ?? []).Select(stage => stage.Run).Concat(Record?.Scratch is { } scratch ? [scratch.Run] : []);

    /// <summary>All of the artifacts folder, the latest first.</summary>
    public static IReadOnlyList<ChainEntry> All(RecordCache records) =>
        [
            .. records
                .Folders(RunLayout.Chains)
                .Select(id => Find(records, id))
                .OfType<ChainEntry>()
                .OrderByDescending(chain => chain.Record?.UpdatedUtc ?? DateTime.MinValue),
        ];

    /// <summary>Null where there is no such chain.</summary>
    public static ChainEntry? Find(RecordCache records, string id) =>
        records.Find<ChainRecord>(RunLayout.Chains, id, RunLayout.Chain) is { } found ? new(id, found.Record, found.Problem) : null;
}
