using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>Counts of each code at each position of a level's grid, and the entropy at each position (paper, figure 3).</summary>
/// <remarks>Axis legend: B batch, M codebooks, K codes, H W height and width of the grid.</remarks>
public sealed class PositionCounts
{
    /// Maximum size of the counts: 256 MB.
    private const long MostCells = 1 << 26;

    private readonly int codes;
    private readonly int codebooks;
    private readonly int height;
    private readonly int width;
    private readonly int[] counts; // (M, H, W, K)

    private PositionCounts(int codebooks, int height, int width, int codes)
    {
        (this.codebooks, this.height, this.width, this.codes) = (codebooks, height, width, codes);
        counts = new int[codebooks * height * width * codes];
    }

    /// <summary>Empty counts; null if they would not fit in memory.</summary>
    public static PositionCounts? Create(int codebooks, int height, int width, int codes) =>
        (long)codebooks * height * width * codes <= MostCells ? new(codebooks, height, width, codes) : null;

    /// <summary>Adds code indices (B, M, H, W) int64 to the counts.</summary>
    public void Add(Tensor indices)
    {
        using var scope = NewDisposeScope();
        var places = counts.Length / codes;
        var values = MemoryMarshal.Cast<byte, long>(indices.cpu().contiguous().bytes);
        for (var at = 0; at < values.Length; at++)
            counts[at % places * codes + values[at]]++;
    }

    /// <summary>Entropy over images at each position, in nats: (M, H, W).</summary>
    public double[,,] EntropyNats()
    {
        var map = new double[codebooks, height, width];
        for (var book = 0; book < codebooks; book++)
        for (var row = 0; row < height; row++)
        for (var column = 0; column < width; column++)
        {
            var place = (book * height + row) * width + column;
            map[book, row, column] = MillerMadow.EntropyNats(counts.AsSpan(place * codes, codes));
        }
        return map;
    }
}
