namespace DQ.Core.Quantization;

/// <summary>The codes of one level for one image: M codebooks of K codes on an H×W grid.</summary>
public readonly record struct CodeGrid(int CodeCount, int Codebooks, int Height, int Width);

/// <summary>What codes cost, in bits.</summary>
public static class CodeRate
{
    public static double NatsToBits(double nats) => nats / Math.Log(2);

    /// <summary>Bits per image when every code is as likely as any other: Σ over levels of M·H·W·log2 K.</summary>
    public static double UniformBitsPerImage(IEnumerable<CodeGrid> levels) =>
        levels.Sum(level => (double)level.Codebooks * level.Height * level.Width * Math.Log2(level.CodeCount));

    /// <summary>
    /// Bits that all codes counted in <paramref name="evaluated"/> take under the frequencies of <paramref name="training"/>:
    /// a length one could really pay, as those frequencies are known before. One codebook at a time.
    /// </summary>
    /// <param name="evaluated">How often each of the K codes is to be coded.</param>
    /// <param name="training">How often each occurred in training; one is added to each, so that none is impossible.</param>
    /// <exception cref="ArgumentException">The two differ in length.</exception>
    public static double EmpiricalBits(ReadOnlySpan<long> evaluated, ReadOnlySpan<long> training)
    {
        if (evaluated.Length != training.Length)
            throw new ArgumentException(
                $"expected counts of {training.Length} codes as in training, got {evaluated.Length}",
                nameof(evaluated)
            );
        double total = training.Length;
        foreach (var count in training)
            total += count;
        var bits = 0.0;
        for (var code = 0; code < training.Length; code++)
            bits += evaluated[code] * Math.Log2(total / (training[code] + 1.0));
        return bits;
    }
}
