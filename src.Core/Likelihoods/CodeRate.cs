namespace DQ.Core.Likelihoods;

/// <summary>The codes of one level for one image: M codebooks of K codes on an H×W grid.</summary>
public readonly record struct CodeGrid(int Codes, int Codebooks, int Height, int Width);

/// <summary>What codes cost, in bits.</summary>
public static class CodeRate
{
    public static double NatsToBits(double nats) => nats / Math.Log(2);

    /// <summary>Bits per image when every code is as likely as any other: Σ over levels of M·H·W·log2 K.</summary>
    public static double UniformBitsPerImage(IEnumerable<CodeGrid> levels) =>
        levels.Sum(level => (double)level.Codebooks * level.Height * level.Width * Math.Log2(level.Codes));

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

/// <summary>
/// What an image costs: −log p(pixels | codes) and the codes themselves, apart and together. A dimension is one channel of one
/// pixel. Totals bound −log p(pixels) from above with a deterministic encoder, and are what a lossless file would take.
/// </summary>
public sealed record RateAccounting
{
    /// <param name="dims">Dimensions of an image, C·H·W without padding.</param>
    /// <param name="reconstructionNatsPerDim">Mean over images; null when the reconstruction loss is no likelihood.</param>
    /// <param name="uniformBitsPerImage">See <see cref="CodeRate.UniformBitsPerImage"/>.</param>
    /// <param name="empiricalBitsPerImage">Mean over images, see <see cref="CodeRate.EmpiricalBits"/>.</param>
    public RateAccounting(long dims, double? reconstructionNatsPerDim, double uniformBitsPerImage, double empiricalBitsPerImage)
    {
        if (dims < 1)
            throw new ArgumentOutOfRangeException(nameof(dims), dims, "expected at least 1");
        Dims = dims;
        ReconstructionNatsPerDim = reconstructionNatsPerDim;
        CodeRateUniformBitsPerImage = uniformBitsPerImage;
        CodeRateEmpiricalBitsPerImage = empiricalBitsPerImage;
    }

    public long Dims { get; }

    public double? ReconstructionNatsPerDim { get; }

    public double? ReconstructionBitsPerDim => ReconstructionNatsPerDim is { } nats ? CodeRate.NatsToBits(nats) : null;

    public double? ReconstructionBitsPerImage => ReconstructionBitsPerDim * Dims;

    public double CodeRateUniformBitsPerImage { get; }

    public double CodeRateUniformBitsPerDim => CodeRateUniformBitsPerImage / Dims;

    public double CodeRateEmpiricalBitsPerImage { get; }

    public double CodeRateEmpiricalBitsPerDim => CodeRateEmpiricalBitsPerImage / Dims;

    public double? TotalUniformBitsPerDim => ReconstructionBitsPerDim + CodeRateUniformBitsPerDim;

    public double? TotalUniformBitsPerImage => TotalUniformBitsPerDim * Dims;

    public double? TotalEmpiricalBitsPerDim => ReconstructionBitsPerDim + CodeRateEmpiricalBitsPerDim;

    public double? TotalEmpiricalBitsPerImage => TotalEmpiricalBitsPerDim * Dims;
}
