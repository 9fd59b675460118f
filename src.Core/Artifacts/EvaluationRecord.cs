using System.Text.Json.Serialization;

namespace DQ.Core.Artifacts;

/// <summary><c>evaluation.json</c>: a run's model on whole splits.</summary>
public sealed record EvaluationRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Fingerprint of the run, the checkpoint's step, the data set and the evaluation's settings.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Folder name of the data set under <c>datasets/</c>; null in older records.</summary>
    public string? Dataset { get; init; }

    /// <summary>At most this many images of a split, the first ones; null for all.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Limit { get; init; }

    /// <summary>File name of the checkpoint evaluated.</summary>
    public required string Checkpoint { get; init; }

    /// <summary>Step of the checkpoint.</summary>
    public required long Step { get; init; }

    /// <summary>Number of trainable parameters, without codebooks.</summary>
    public required long Parameters { get; init; }

    /// <summary>Number of training images whose codes gave the frequencies for the empirical code rate.</summary>
    public required long FrequencyImages { get; init; }

    /// <summary>Images evaluated per second, without the frequencies.</summary>
    public required double ImagesPerSecond { get; init; }

    /// <summary>Splits by name: <c>train</c>, <c>validation</c>, <c>test</c>.</summary>
    public required IReadOnlyDictionary<string, SplitEvaluation> Splits { get; init; }

    /// <summary>
    /// The same numbers for the weights of the last step, if training averaged its weights and <see cref="Splits"/> is for the average;
    /// else null.
    /// </summary>
    public IReadOnlyDictionary<string, SplitEvaluation>? WithoutAverage { get; init; }
}
