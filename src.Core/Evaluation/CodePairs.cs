using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>
/// Counts how often two codebooks of a level chose each pair of codes at the same position, and estimates their mutual information.
/// </summary>
/// <remarks>
/// I(X; Y) = H(X) + H(Y) − H(X, Y), each by <see cref="MillerMadow"/>, over all positions of all images. Axis legend: B batch, M codebooks,
/// K codes, H W height and width of the level's grid.
/// </remarks>
public sealed class CodePairs
{
    /// 256 MB of counts, for example all pairs of 10 codebooks of 1,024 codes.
    private const long MostCells = 1 << 26;

    private readonly int codebooks;
    private readonly int codes;
    private readonly int[][] single; // (M) of K
    private readonly int[][] joint; // a row of K × K for each pair, in the order of Pairs

    private CodePairs(int codebooks, int codes)
    {
        (this.codebooks, this.codes) = (codebooks, codes);
        single = [.. Enumerable.Range(0, codebooks).Select(_ => new int[codes])];
        joint = [.. Pairs().Select(_ => new int[codes * codes])];
    }

    /// <summary>Empty counts; null if they would not fit in memory.</summary>
    public static CodePairs? Create(int codebooks, int codes) =>
        (long)codebooks * (codebooks - 1) / 2 * codes * codes <= MostCells ? new(codebooks, codes) : null;

    /// <summary>Adds code indices (B, M, H, W) int64 to the counts.</summary>
    public void Add(Tensor indices)
    {
        using var scope = NewDisposeScope();
        var positions = (int)(indices.shape[2] * indices.shape[3]);
        var values = MemoryMarshal.Cast<byte, long>(indices.cpu().contiguous().bytes);
        for (var image = 0; image < values.Length; image += codebooks * positions)
        {
            for (var book = 0; book < codebooks; book++)
                foreach (var code in values.Slice(image + book * positions, positions))
                    single[book][code]++;
            var pair = 0;
            foreach (var (one, other) in Pairs())
            {
                var counts = joint[pair++];
                var (first, second) = (image + one * positions, image + other * positions);
                for (var at = 0; at < positions; at++)
                    counts[values[first + at] * codes + values[second + at]]++;
            }
        }
    }

    /// <summary>
    /// (M, M) in nats: symmetric, entropies on the diagonal. Never above the smaller of two entropies. It can be below 0, if the correction
    /// subtracts more than the counts of independent codebooks gave: estimates with a mean near 0 are on both sides of it.
    /// </summary>
    public double[,] MutualInformationNats()
    {
        var entropies = Array.ConvertAll(single, counts => MillerMadow.EntropyNats(counts));
        var matrix = new double[codebooks, codebooks];
        for (var book = 0; book < codebooks; book++)
            matrix[book, book] = entropies[book];
        foreach (var ((one, other), counts) in Pairs().Zip(joint))
            matrix[one, other] = matrix[other, one] = entropies[one] + entropies[other] - MillerMadow.EntropyNats(counts);
        return matrix;
    }

    /// <summary>
    /// The share 2·I(X; Y) / (H(X) + H(Y)) of a matrix (M, M) as above, 0 … 1: 0 if the estimated information is negative or both entropies
    /// are 0, and 1 on the diagonal.
    /// </summary>
    public static double[,] Normalized(double[,] matrix)
    {
        var books = matrix.GetLength(0);
        var result = new double[books, books];
        for (var one = 0; one < books; one++)
        for (var other = 0; other < books; other++)
        {
            var mean = (matrix[one, one] + matrix[other, other]) / 2;
            result[one, other] =
                one == other ? 1
                : mean > 0 ? Math.Clamp(matrix[one, other] / mean, 0, 1)
                : 0;
        }
        return result;
    }

    /// <summary>Mean over all pairs of codebooks; null if there is only one codebook.</summary>
    public static double? MeanOfPairs(double[,] matrix)
    {
        var books = matrix.GetLength(0);
        if (books < 2)
            return null;
        var sum = 0.0;
        for (var one = 0; one < books; one++)
        for (var other = one + 1; other < books; other++)
            sum += matrix[one, other];
        return sum / (books * (books - 1) / 2);
    }

    /// <summary>
    /// The same estimate for two independent codebooks, with the frequencies of the first two and as many positions. It is 0 except for the
    /// bias that the correction leaves. Null if there is only one codebook.
    /// </summary>
    public double? IndependentNats()
    {
        if (codebooks < 2)
            return null;
        var random = new SplitMix64(0);
        var (one, other) = (Cumulated(single[0]), Cumulated(single[1]));
        var (x, y, xy) = (new int[codes], new int[codes], new int[codes * codes]);
        for (var position = 0L; position < one[^1]; position++)
        {
            var (first, second) = (Draw(one, ref random), Draw(other, ref random));
            x[first]++;
            y[second]++;
            xy[first * codes + second]++;
        }
        return MillerMadow.EntropyNats(x) + MillerMadow.EntropyNats(y) - MillerMadow.EntropyNats(xy);
    }

    private static long[] Cumulated(int[] counts)
    {
        var (sums, sum) = (new long[counts.Length], 0L);
        for (var code = 0; code < counts.Length; code++)
            sums[code] = sum += counts[code];
        return sums;
    }

    /// Draws a code by its frequency.
    private static int Draw(long[] cumulated, ref SplitMix64 random)
    {
        var place = (long)(random.NextDouble() * cumulated[^1]);
        var (low, high) = (0, cumulated.Length - 1); // the first code whose cumulated count is above the drawn number
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = cumulated[middle] > place ? (low, middle) : (middle + 1, high);
        }
        return low;
    }

    private IEnumerable<(int One, int Other)> Pairs()
    {
        for (var one = 0; one < codebooks; one++)
        for (var other = one + 1; other < codebooks; other++)
            yield return (one, other);
    }
}
