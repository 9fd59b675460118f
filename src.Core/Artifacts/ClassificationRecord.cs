using System.Text.Json.Serialization;

namespace DQ.Core.Artifacts;

/// <summary><c>classification.json</c>: a run's classifier on whole splits.</summary>
public sealed record ClassificationRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Of the run, the checkpoint's step, the data set and the evaluation's settings.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Folder name of the data set under <c>datasets/</c>.</summary>
    public required string Dataset { get; init; }

    /// <summary>At most this many images of a split, the first ones; null for all.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Limit { get; init; }

    /// <summary>File name of the checkpoint evaluated.</summary>
    public required string Checkpoint { get; init; }

    /// <summary>Its step.</summary>
    public required long Step { get; init; }

    /// <summary>Trained parameters; codebooks that are no parameters not counted.</summary>
    public required long Parameters { get; init; }

    /// <summary>Training images whose codes gave the frequencies of the empirical code rate; 0 without codes.</summary>
    public required long FrequencyImages { get; init; }

    /// <summary>Images evaluated per second, frequencies not counted.</summary>
    public required double ImagesPerSecond { get; init; }

    /// <summary>By label.</summary>
    public required IReadOnlyList<string> ClassNames { get; init; }

    /// <summary>By name: <c>train</c>, <c>validation</c>, <c>test</c>.</summary>
    public required IReadOnlyDictionary<string, SplitClassification> Splits { get; init; }

    /// <summary>
    /// Where training averaged its weights, which is what <see cref="Splits"/> is about: the same of the weights as the last step left
    /// them. Null elsewhere.
    /// </summary>
    public IReadOnlyDictionary<string, SplitClassification>? WithoutAverage { get; init; }
}

/// <summary>A classifier on a split.</summary>
public sealed record SplitClassification
{
    public required long Images { get; init; }

    /// <summary>Share of images classified rightly, by the likeliest class.</summary>
    public required double Accuracy { get; init; }

    /// <summary>−log p(class | image), mean over images.</summary>
    public required double CrossEntropyNats { get; init; }

    /// <summary>Images by true label (rows) and by the class they were given (columns).</summary>
    public required IReadOnlyList<IReadOnlyList<long>> Confusion { get; init; }

    /// <summary>Σ over levels of M·H·W·log2 K: an image's codes stored at equal length; null without codes.</summary>
    public required double? BitsPerImageUniform { get; init; }

    /// <summary>The same under the training split's frequencies; null without codes, and where these were not counted.</summary>
    public required double? BitsPerImageEmpirical { get; init; }

    /// <summary>−log p(x | codes) per dimension of the autoencoder trained along; null where there is none, and for squared error.</summary>
    public double? ReconstructionNatsPerDim { get; init; }

    /// <summary>Squared error on normalized values of an autoencoder trained along with it; null otherwise.</summary>
    public double? ReconstructionSquaredError { get; init; }

    /// <summary>The codes by level, bottom first; empty without codes.</summary>
    public required IReadOnlyList<LevelClassification> Levels { get; init; }
}

/// <param name="Level">0 is the bottom; a classifier's own codes are one level.</param>
/// <param name="GridHeight">Positions that have codes; 1 for a pooled vector.</param>
/// <param name="GridWidth">Likewise.</param>
/// <param name="Codebooks">One after the other.</param>
public sealed record LevelClassification(int Level, int GridHeight, int GridWidth, IReadOnlyList<CodebookClassification> Codebooks);

/// <param name="Codebook">From 0.</param>
/// <param name="Codes">K.</param>
/// <param name="UsedCodes">Codes chosen at least once.</param>
/// <param name="EntropyNats">Plug-in entropy of the choices.</param>
/// <param name="Perplexity">exp(entropy), 1 … K.</param>
public sealed record CodebookClassification(int Codebook, int Codes, int UsedCodes, double EntropyNats, double Perplexity);
