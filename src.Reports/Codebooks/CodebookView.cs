using DQ.Core.Artifacts;
using DQ.Core.Formats;
using DQ.Reports.Catalog;

namespace DQ.Reports.Codebooks;

/// <summary>One level's codebooks on a split, with their arrays.</summary>
public sealed record CodebookView
{
    public required CodebooksRecord Record { get; init; }

    /// <summary>Split shown.</summary>
    public required string Split { get; init; }

    public required LevelCodebooks Level { get; init; }

    /// <summary>Levels there are on the split.</summary>
    public required int Levels { get; init; }

    /// <summary>Times chosen (M, K); null where missing.</summary>
    public StoredArray<long>? Histogram { get; init; }

    /// <summary>Nats (M, H, W); null where it was not counted.</summary>
    public StoredArray<double>? EntropyMap { get; init; }

    /// <summary>Nats (M, M); null where it was not counted.</summary>
    public StoredArray<double>? MutualInformation { get; init; }

    /// <summary>As of a run; null where it has none of that split and level.</summary>
    /// <exception cref="ArtifactException">Damaged.</exception>
    public static CodebookView? Of(ArtifactFolder folder, string run, string? split, int level)
    {
        if (folder.Record(RunLayout.Runs, run, RunLayout.Codebooks) is not { } path)
            return null;
        var record = ArtifactJson.Read<CodebooksRecord>(path);
        var name =
            split is not null && record.Splits.ContainsKey(split)
                ? split
                : record.Splits.Keys.Order(StringComparer.Ordinal).FirstOrDefault();
        if (name is null || record.Splits[name].Levels is not { Count: > 0 } levels)
            return null;
        var found = levels[Math.Clamp(level, 0, levels.Count - 1)];
        return new()
        {
            Record = record,
            Split = name,
            Level = found,
            Levels = levels.Count,
            Histogram = Shaped(
                CodebookArrays.Read<long>(folder, run, CodebooksRecord.Tensors, found.Histogram),
                found.Codebooks,
                found.Codes
            ),
            EntropyMap = Shaped(
                CodebookArrays.Read<double>(folder, run, CodebooksRecord.Tensors, found.EntropyMap),
                found.Codebooks,
                found.GridHeight,
                found.GridWidth
            ),
            MutualInformation = Shaped(
                CodebookArrays.Read<double>(folder, run, CodebooksRecord.Tensors, found.MutualInformation),
                found.Codebooks,
                found.Codebooks
            ),
        };
    }

    private static StoredArray<T>? Shaped<T>(StoredArray<T>? array, params ReadOnlySpan<long> shape)
        where T : unmanaged =>
        array is null || array.Shape.AsSpan().SequenceEqual(shape)
            ? array
            : throw new ArtifactException(
                $"{CodebooksRecord.Tensors}: expected an array of {string.Join(" × ", shape.ToArray())}, found {string.Join(" × ", array.Shape)}"
            );
}
