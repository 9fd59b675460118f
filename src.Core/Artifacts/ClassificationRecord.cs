using System.Text.Json.Serialization;

namespace DQ.Core.Artifacts;

/// <summary><c>classification.json</c>: a run's classifier on whole splits.</summary>
public sealed record ClassificationRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Fingerprint of the run, the checkpoint's step, the data set and the evaluation's settings.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Folder name of the data set under <c>datasets/</c>.</summary>
    public required string Dataset { get; init; }

    /// <summary>At most this many images of a split, the first ones; null for all.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Limit { get; init; }

    /// <summary>File name of the checkpoint evaluated.</summary>
    public required string Checkpoint { get; init; }

    /// <summary>Step of the checkpoint.</summary>
    public required long Step { get; init; }

    /// <summary>Number of trained parameters; codebooks that are not parameters are not counted.</summary>
    public required long Parameters { get; init; }

    /// <summary>Number of training images whose codes gave the frequencies for the empirical code rate; 0 without codes.</summary>
    public required long FrequencyImages { get; init; }

    /// <summary>Images evaluated per second, without the frequencies.</summary>
    public required double ImagesPerSecond { get; init; }

    /// <summary>Names of the classes, by label.</summary>
    public required IReadOnlyList<string> ClassNames { get; init; }

    /// <summary>Splits by name: <c>train</c>, <c>validation</c>, <c>test</c>.</summary>
    public required IReadOnlyDictionary<string, SplitClassification> Splits { get; init; }

    /// <summary>
    /// The same numbers for the weights of the last step, if training averaged its weights and <see cref="Splits"/> is for the average;
    /// else null.
    /// </summary>
    public IReadOnlyDictionary<string, SplitClassification>? WithoutAverage { get; init; }
}

/// <summary>A classifier on a split.</summary>
public sealed record SplitClassification
{
    public required long Images { get; init; }

    /// <summary>Share of images whose most likely class is correct.</summary>
    public required double Accuracy { get; init; }

    /// <summary>−log p(class | image), mean over images.</summary>
    public required double CrossEntropyNats { get; init; }

    /// <summary>Number of images by true label (rows) and predicted class (columns).</summary>
    public required IReadOnlyList<IReadOnlyList<long>> Confusion { get; init; }

    /// <summary>Σ over levels of M·H·W·log2 K: bits per image with codes of equal length; null without codes.</summary>
    public required double? BitsPerImageUniform { get; init; }

    /// <summary>The same under the training split's frequencies; null without codes, or if these were not counted.</summary>
    public required double? BitsPerImageEmpirical { get; init; }

    /// <summary>−log p(x | codes) per dimension of the autoencoder that was trained too; null without one, and for squared error.</summary>
    public double? ReconstructionNatsPerDim { get; init; }

    /// <summary>Squared error on normalized values of the autoencoder that was trained too; null otherwise.</summary>
    public double? ReconstructionSquaredError { get; init; }

    /// <summary>The codes by level, bottom first; empty without codes.</summary>
    public required IReadOnlyList<LevelClassification> Levels { get; init; }
}

/// <param name="Level">0 is the bottom; a classifier's own codes are one level.</param>
/// <param name="GridHeight">Rows of the grid of codes; 1 for a pooled vector.</param>
/// <param name="GridWidth">Columns of the grid; 1 for a pooled vector.</param>
/// <param name="Codebooks">The codebooks in order.</param>
public sealed record LevelClassification(int Level, int GridHeight, int GridWidth, IReadOnlyList<CodebookClassification> Codebooks);

/// <param name="Codebook">Number of the codebook, from 0.</param>
/// <param name="Codes">Code count K.</param>
/// <param name="UsedCodes">Number of codes chosen at least once.</param>
/// <param name="EntropyNats">Plug-in entropy of the choices.</param>
/// <param name="Perplexity">exp(entropy), 1 … K.</param>
public sealed record CodebookClassification(int Codebook, int Codes, int UsedCodes, double EntropyNats, double Perplexity);
