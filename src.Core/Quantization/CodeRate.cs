namespace DQ.Core.Quantization;

/// <summary>The codes of one level for one image: M codebooks of K codes on an H×W grid.</summary>
public readonly record struct CodeGrid(int CodeCount, int Codebooks, int Height, int Width);

/// <summary>The code rate, in bits.</summary>
public static class CodeRate
{
    public static double NatsToBits(double nats) => nats / Math.Log(2);

    /// <summary>Bits per image if all codes are equally likely: Σ over levels of M·H·W·log2 K.</summary>
    public static double UniformBitsPerImage(IEnumerable<CodeGrid> levels) =>
        levels.Sum(level => (double)level.Codebooks * level.Height * level.Width * Math.Log2(level.CodeCount));

    /// <summary>
    /// Bits to code all choices counted in <paramref name="evaluated"/> under the frequencies of <paramref name="training"/>, for one
    /// codebook. A coder can reach this length, since those frequencies are known beforehand.
    /// </summary>
    /// <param name="evaluated">How often each of the K codes has to be coded.</param>
    /// <param name="training">How often each code was chosen in training. One is added to each count, so that no code has probability
    /// 0.</param>
    /// <exception cref="ArgumentException">The two arguments differ in length.</exception>
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
