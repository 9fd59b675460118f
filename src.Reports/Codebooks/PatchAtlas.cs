using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Urls;

namespace DQ.Reports.Codebooks;

/// <summary>Patches of images that chose a code most closely.</summary>
public sealed record PatchAtlas(AtlasRecord Record, RunEntry Run)
{
    /// <summary>More are not ours.</summary>
    private const int MostPatches = 64;

    private const string Place = $"{RunLayout.Codes}/{AtlasRecord.FileName}";

    /// <summary>Null where the run has none.</summary>
    /// <exception cref="ArtifactException">Damaged.</exception>
    public static PatchAtlas? Of(ArtifactFolder folder, RunEntry run) =>
        folder.Record(RunLayout.Runs, run.Id, Place) is { } path ? new(ArtifactJson.Read<AtlasRecord>(path), run) : null;

    public AtlasLevel? Level(int level) => Record.Levels.FirstOrDefault(one => one.Level == level);

    /// <summary>A style per patch of a code, the nearest first; none where the atlas does not show it.</summary>
    public IReadOnlyList<string> Patches(AtlasLevel level, int codebook, int code)
    {
        if (
            level.Codebooks.FirstOrDefault(one => one.Codebook == codebook) is not { } book
            || book.Codes.ToList().IndexOf(code) is not (>= 0 and var place)
            || level is not { CodesAcross: > 0, PatchesPerCode: > 0 and <= MostPatches }
        )
            return [];
        var (across, rows) = (level.CodesAcross * level.PatchesPerCode, (book.Codes.Count + level.CodesAcross - 1) / level.CodesAcross);
        var sheet = Links.Picture(Run.Id, $"{RunLayout.Codes}/{book.File}", Run.Version);
        var first = place % level.CodesAcross * level.PatchesPerCode;
        return
        [
            .. Enumerable
                .Range(first, level.PatchesPerCode)
                .Select(column => Pictures.Crop.Style(sheet, across, rows, column, place / level.CodesAcross)),
        ];
    }
}
