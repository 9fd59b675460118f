namespace DQ.Core.Artifacts;

/// <summary><c>prior.json</c>: what a model's codes cost under a trained prior, beside simpler ones.</summary>
public sealed record PriorRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Folder name of the autoencoder's run under <c>runs/</c>.</summary>
    public required string Autoencoder { get; init; }

    /// <summary>File name of the autoencoder's checkpoint.</summary>
    public required string AutoencoderCheckpoint { get; init; }

    /// <summary>Folder name of the data set under <c>datasets/</c>.</summary>
    public required string Dataset { get; init; }

    /// <summary>Rows of the images, which samples have too.</summary>
    public required int ImageHeight { get; init; }

    /// <summary>Columns of the images.</summary>
    public required int ImageWidth { get; init; }

    /// <summary>File name of the prior's checkpoint that was evaluated, and that codes and samples use.</summary>
    public required string Checkpoint { get; init; }

    /// <summary>Step of the checkpoint.</summary>
    public required long Step { get; init; }

    /// <summary>Number of trained parameters.</summary>
    public required long Parameters { get; init; }

    /// <summary>Fingerprint of the prior in integers, which files of codes name.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Number of training images whose codes gave the frequencies of the static prior.</summary>
    public required long FrequencyImages { get; init; }

    /// <summary>Splits by name: <c>train</c>, <c>validation</c>, <c>test</c>.</summary>
    public required IReadOnlyDictionary<string, SplitPrior> Splits { get; init; }
}

/// <summary>Code rates of a split: means over its images.</summary>
public sealed record SplitPrior
{
    public required long Images { get; init; }

    /// <summary>Dimensions of an image, C·H·W.</summary>
    public required long DimensionsPerImage { get; init; }

    /// <summary>Codes of an image, over all levels and codebooks.</summary>
    public required long CodesPerImage { get; init; }

    /// <summary>Codes of equal length.</summary>
    public required double CodeRateUniformBitsPerDim { get; init; }

    /// <summary>Codes under each codebook's frequencies in training: the rate that <c>evaluation.json</c> calls empirical.</summary>
    public required double CodeRateStaticBitsPerDim { get; init; }

    /// <summary>Codes under the trained prior in integers, as files of codes have them.</summary>
    public required double CodeRateNetworkBitsPerDim { get; init; }

    /// <summary>The same before it was made integers.</summary>
    public required double CodeRateNetworkFloatBitsPerDim { get; init; }

    /// <summary>Levels, bottom first.</summary>
    public required IReadOnlyList<LevelPrior> Levels { get; init; }
}

/// <param name="Level">0 is the bottom.</param>
/// <param name="GridHeight">Rows of its grid.</param>
/// <param name="GridWidth">Columns.</param>
/// <param name="Codebooks">The codebooks in order.</param>
public sealed record LevelPrior(int Level, int GridHeight, int GridWidth, IReadOnlyList<CodebookPrior> Codebooks);

/// <summary>Bits of one code of a codebook, means over images and positions.</summary>
/// <param name="Codebook">Number of the codebook, from 0.</param>
/// <param name="Codes">Code count K.</param>
/// <param name="UniformBitsPerCode">log2 K.</param>
/// <param name="StaticBitsPerCode">Under the frequencies in training.</param>
/// <param name="NetworkBitsPerCode">Under the trained prior in integers.</param>
/// <param name="NetworkFloatBitsPerCode">The same before it was made integers.</param>
public sealed record CodebookPrior(
    int Codebook,
    int Codes,
    double UniformBitsPerCode,
    double StaticBitsPerCode,
    double NetworkBitsPerCode,
    double NetworkFloatBitsPerCode
);
