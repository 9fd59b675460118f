using DQ.Core.Evaluation;

namespace DQ.Core.Artifacts;

/// <summary><c>evaluation.json</c>: a run's model on whole splits. Histograms are in <c>codebooks.json</c> and empty here.</summary>
public sealed record EvaluationRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Of the run, the checkpoint's step, the data set and the evaluation's settings.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Folder name of the data set under <c>datasets/</c>; null in records of before it was kept.</summary>
    public string? Dataset { get; init; }

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

    /// <summary>A split without its histograms.</summary>
    public static SplitEvaluation WithoutHistograms(SplitEvaluation split) =>
        split with
        {
            Levels =
            [
                .. split.Levels.Select(level =>
                    level with
                    {
                        Codebooks = [.. level.Codebooks.Select(book => book with { Histogram = [] })],
                    }
                ),
            ],
        };
}

/// <summary><c>codebooks.json</c>: how often each code was chosen, by split.</summary>
public sealed record CodebooksRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Step of the checkpoint evaluated.</summary>
    public required long Step { get; init; }

    /// <summary>By split, level (bottom first), codebook and code: times chosen.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<IReadOnlyList<IReadOnlyList<long>>>> Histograms { get; init; }

    public static CodebooksRecord Of(long step, IReadOnlyDictionary<string, SplitEvaluation> splits) =>
        new()
        {
            Step = step,
            Histograms = splits.ToDictionary(
                split => split.Key,
                IReadOnlyList<IReadOnlyList<IReadOnlyList<long>>> (split) =>
                    [
                        .. split.Value.Levels.Select(
                            IReadOnlyList<IReadOnlyList<long>> (level) => [.. level.Codebooks.Select(book => book.Histogram)]
                        ),
                    ]
            ),
        };
}
