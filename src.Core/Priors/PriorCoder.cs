using DQ.Core.Coding;

namespace DQ.Core.Priors;

/// <summary>
/// What codes cost under a frozen prior, their streams, and samples. Images of one call have one size. Codes are, per image and level
/// (bottom first), flat arrays of (M, H, W); grids are rows and columns of each level.
/// </summary>
public static class PriorCoder
{
    /// <summary>−log2 p of codes, summed over images and positions, per level and codebook.</summary>
    public static double[][] Bits(
        FrozenPrior prior,
        IReadOnlyList<(int Height, int Width)> grids,
        int[][][] codes,
        CancellationToken cancellation = default
    )
    {
        var sums = prior.Spec.Levels.Select(level => new double[level.Codebooks]).ToArray();
        var measurer = new CodeMeasurer(sums);
        new PriorWalk(prior, grids).Run(codes, ref measurer, cancellation);
        return sums;
    }

    /// <summary>A stream of codes; the codes do not change.</summary>
    public static byte[] Encode(
        FrozenPrior prior,
        IReadOnlyList<(int Height, int Width)> grids,
        int[][][] codes,
        CancellationToken cancellation = default
    )
    {
        var encoder = new CodeEncoder();
        new PriorWalk(prior, grids).Run(codes, ref encoder, cancellation);
        return encoder.Finish();
    }

    /// <summary>The codes of a stream.</summary>
    /// <exception cref="InvalidDataException">The stream is not that of codes of these sizes.</exception>
    public static int[][][] Decode(
        FrozenPrior prior,
        IReadOnlyList<(int Height, int Width)> grids,
        int images,
        ReadOnlySpan<byte> stream,
        CancellationToken cancellation = default
    )
    {
        var codes = Empty(prior, grids, images);
        var decoder = new CodeDecoder(new RansDecoder(stream));
        new PriorWalk(prior, grids).Run(codes, ref decoder, cancellation);
        return decoder.IsAtEnd ? codes : throw new InvalidDataException("a stream that does not end with its last symbol");
    }

    /// <summary>Draws codes. An image's codes depend on the seed and its number alone, and are the same on every machine.</summary>
    /// <param name="prior">The prior.</param>
    /// <param name="grids">As above.</param>
    /// <param name="images">Number of images.</param>
    /// <param name="seed">Seed of all images.</param>
    /// <param name="temperature">Above 0; 1 draws from the prior itself, less prefers likely codes.</param>
    /// <param name="cancellation">Ends the work early.</param>
    public static int[][][] Sample(
        FrozenPrior prior,
        IReadOnlyList<(int Height, int Width)> grids,
        int images,
        long seed,
        double temperature = 1,
        CancellationToken cancellation = default
    )
    {
        if (!(temperature is >= LeastTemperature and <= 1 / LeastTemperature))
            throw new ArgumentOutOfRangeException(
                nameof(temperature),
                temperature,
                $"expected a number from {LeastTemperature} to {1 / LeastTemperature}"
            );
        var codes = Empty(prior, grids, images);
        var sampler = new CodeSampler(seed, images, temperature);
        new PriorWalk(prior, grids).Run(codes, ref sampler, cancellation);
        return codes;
    }

    /// <summary>The least temperature of samples; the greatest is its inverse.</summary>
    public const double LeastTemperature = 0.01;

    private static int[][][] Empty(FrozenPrior prior, IReadOnlyList<(int Height, int Width)> grids, int images) =>
        [
            .. Enumerable
                .Range(0, images)
                .Select(_ =>
                    prior
                        .Spec.Levels.Select((level, number) => new int[level.Codebooks * grids[number].Height * grids[number].Width])
                        .ToArray()
                ),
        ];
}
