using System.Globalization;
using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Urls;

namespace DQ.Reports.Codebooks;

/// <summary>Patches of images that chose a code most closely.</summary>
public sealed record PatchAtlas(AtlasRecord Record, RunEntry Run)
{
    private const string Place = $"{RunLayout.Codes}/{AtlasRecord.FileName}";

    /// <summary>Null where the run has none.</summary>
    /// <exception cref="ArtifactException">Damaged.</exception>
    public static PatchAtlas? Of(ArtifactFolder folder, RunEntry run) =>
        folder.Record(RunLayout.Runs, run.Id, Place) is { } path ? new(ArtifactJson.Read<AtlasRecord>(path), run) : null;

    public AtlasLevel? Level(int level) => Record.Levels.FirstOrDefault(one => one.Level == level);

    /// <summary>Style of an element that shows all patches of a code side by side; null where the atlas does not show it.</summary>
    public string? Strip(AtlasLevel level, int codebook, int code)
    {
        if (
            level.Codebooks.FirstOrDefault(one => one.Codebook == codebook) is not { } book
            || book.Codes.ToList().IndexOf(code) is not (>= 0 and var place)
            || level.CodesAcross < 1
        )
            return null;
        var rows = (book.Codes.Count + level.CodesAcross - 1) / level.CodesAcross;
        var sheet = Links.Picture(Run.Id, $"{RunLayout.Codes}/{book.File}", Run.Version);
        return Pictures.Crop.Style(sheet, level.CodesAcross, rows, place % level.CodesAcross, place / level.CodesAcross)
            + string.Create(CultureInfo.InvariantCulture, $";aspect-ratio:{level.PatchesPerCode}");
    }
}
