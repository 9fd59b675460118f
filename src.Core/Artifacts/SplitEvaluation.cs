using System.Text.Json.Serialization;

namespace DQ.Core.Artifacts;

/// <summary>A model on a whole split of images. Dimension = one channel of one pixel; bits = nats / ln 2.</summary>
public sealed record SplitEvaluation
{
    public required long Images { get; init; }

    /// <summary>Channels × height × width of an image.</summary>
    public required long DimensionsPerImage { get; init; }

    /// <summary>−log p(x | codes) per dimension; null for squared error, which is not a likelihood. Without levels it is −log
    /// p(x).</summary>
    public required double? ReconstructionNatsPerDim { get; init; }

    public required double? ReconstructionBitsPerDim { get; init; }

    /// <summary>
    /// The same under the auxiliary likelihood, whose pixels are independent given the codes; null without a context head.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? ReconstructionWithoutContextBitsPerDim { get; init; }

    /// <summary>Σ over levels of M·H·W·log2 K, per dimension: the code rate with codes of equal length.</summary>
    public required double CodeRateUniformBitsPerDim { get; init; }

    /// <summary>The code rate of an entropy coder whose table has the training split's frequencies.</summary>
    public required double CodeRateEmpiricalBitsPerDim { get; init; }

    /// <summary>Reconstruction + uniform code rate: an upper bound on −log2 p(x), the rate of a lossless file.</summary>
    public required double? TotalUniformBitsPerDim { get; init; }

    public required double? TotalEmpiricalBitsPerDim { get; init; }

    /// <summary>
    /// Squared error of the mean image, pixels scaled to [0, 1], mean over dimensions and images; null without levels, as the next three
    /// numbers, because nothing is reconstructed.
    /// </summary>
    public required double? MeanSquaredError { get; init; }

    /// <summary>
    /// Squared error on normalized values: for <c>squared_error</c> the training loss, otherwise the error of the mean image.
    /// </summary>
    public required double? NormalizedSquaredError { get; init; }

    /// <summary>PSNR of the mean image in decibel: 10·log10(255² / squared error) of each image, at most 100, averaged over
    /// images.</summary>
    public required double? PsnrDb { get; init; }

    /// <summary>
    /// SSIM of the mean image, averaged over images (Wang et al. 2004): Gaussian window of 11×11, σ = 1.5, data range 255, only windows
    /// inside the image, each channel alone. docs/metrics.md has the formula.
    /// </summary>
    public required double? Ssim { get; init; }

    /// <summary>Levels, bottom first.</summary>
    public required IReadOnlyList<LevelEvaluation> Levels { get; init; }
}

/// <summary>One level's codes on a split.</summary>
public sealed record LevelEvaluation
{
    /// <summary>0 is the bottom, the finest.</summary>
    public required int Level { get; init; }

    public required int GridHeight { get; init; }

    public required int GridWidth { get; init; }

    public required double CodeRateUniformBitsPerDim { get; init; }

    public required double CodeRateEmpiricalBitsPerDim { get; init; }

    /// <summary>
    /// Mutual information between two codebooks' codes at a position, Miller–Madow, mean over all pairs; null with one codebook, if
    /// counting was not possible, and in older records. For independent codebooks it is near 0, above or below.
    /// </summary>
    public double? MeanMutualInformationNats { get; init; }

    /// <summary>
    /// The same estimate for two independent codebooks with these frequencies and as many positions. It is near 0, unless there are too few
    /// images for the number of pairs of codes. Null if the mutual information is null.
    /// </summary>
    public double? IndependentMutualInformationNats { get; init; }

    /// <summary>Mean over pairs of 2·I(X; Y) / (H(X) + H(Y)), each clamped to 0 … 1; null if the mutual information is null.</summary>
    public double? MeanNormalizedMutualInformation { get; init; }

    public required IReadOnlyList<CodebookEvaluation> Codebooks { get; init; }
}

/// <summary>One codebook on a split.</summary>
public sealed record CodebookEvaluation
{
    public required int Codebook { get; init; }

    /// <summary>Codes K.</summary>
    public required int Codes { get; init; }

    /// <summary>Share of codes chosen at least once.</summary>
    public required double Usage { get; init; }

    /// <summary>Codes never chosen.</summary>
    public required int DeadCodes { get; init; }

    /// <summary>−Σ p ln p of the counted frequencies, without a correction.</summary>
    public required double EntropyNats { get; init; }

    /// <summary>exp(entropy), 1 … K.</summary>
    public required double Perplexity { get; init; }

    /// <summary>Mean squared distance between the vectors and their codes, per channel.</summary>
    public required double QuantizationError { get; init; }
}
