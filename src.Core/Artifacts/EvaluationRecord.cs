using System.Text.Json.Serialization;

namespace DQ.Core.Artifacts;

/// <summary><c>evaluation.json</c>: a run's model on whole splits.</summary>
public sealed record EvaluationRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Of the run, the checkpoint's step, the data set and the evaluation's settings.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Folder name of the data set under <c>datasets/</c>; null in records of before it was kept.</summary>
    public string? Dataset { get; init; }

    /// <summary>At most this many images of a split, the first ones; null for all.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Limit { get; init; }

    /// <summary>File name of the checkpoint evaluated.</summary>
    public required string Checkpoint { get; init; }

    /// <summary>Its step.</summary>
    public required long Step { get; init; }

    /// <summary>Trainable parameters, codebooks not counted.</summary>
    public required long Parameters { get; init; }

    /// <summary>Training images whose codes gave the frequencies of the empirical code rate.</summary>
    public required long FrequencyImages { get; init; }

    /// <summary>Images evaluated per second, frequencies not counted.</summary>
    public required double ImagesPerSecond { get; init; }

    /// <summary>By name: <c>train</c>, <c>validation</c>, <c>test</c>.</summary>
    public required IReadOnlyDictionary<string, SplitEvaluation> Splits { get; init; }

    /// <summary>
    /// Where training averaged its weights, which is what <see cref="Splits"/> is about: the same of the weights as the last step left
    /// them. Null elsewhere.
    /// </summary>
    public IReadOnlyDictionary<string, SplitEvaluation>? WithoutAverage { get; init; }
}
