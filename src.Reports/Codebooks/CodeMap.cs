using DQ.Core.Artifacts;
using DQ.Core.Formats;
using DQ.Reports.Catalog;

namespace DQ.Reports.Codebooks;

/// <summary>The codes of the sample images at a level.</summary>
/// <param name="Codes">int32 (N, M, H, W).</param>
public sealed record CodeMap(StoredArray<int> Codes)
{
    /// <summary>Cells drawn; more would be a page nobody could use.</summary>
    public const int MostCells = 4096;

    public int Images => (int)Codes.Shape[0];
    public int Height => (int)Codes.Shape[2];
    public int Width => (int)Codes.Shape[3];

    public int At(int image, int codebook, int row, int column) =>
        Codes.Values[(((long)image * Codes.Shape[1] + codebook) * Height + row) * Width + column];

    /// <summary>Null where the run has none.</summary>
    /// <exception cref="ArtifactException">Damaged.</exception>
    public static CodeMap? Of(ArtifactFolder folder, string run, int level) =>
        CodebookArrays.Read<int>(folder, run, $"{RunLayout.Codes}/{RunLayout.SampleCodes}", $"level{level}") switch
        {
            null => null,
            { Shape: [> 0, > 0, > 0, > 0] } codes when codes.Shape[2] * codes.Shape[3] <= MostCells => new(codes),
            var codes => throw new ArtifactException(
                $"{RunLayout.SampleCodes}: expected images × codebooks × rows × columns of at most {MostCells} cells, found {string.Join(" × ", codes.Shape)}"
            ),
        };
}
