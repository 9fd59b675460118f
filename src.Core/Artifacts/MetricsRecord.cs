namespace DQ.Core.Artifacts;

/// <summary>
/// One line of <c>metrics.jsonl</c>; its schema is that of the run's <c>run.json</c>. A <c>train</c> line has means over the steps since
/// the line before (without skipped steps). A <c>validation</c> line has means over the first validation images.
/// </summary>
public sealed record MetricsRecord
{
    /// <summary><c>train</c> or <c>validation</c>.</summary>
    public required string Split { get; init; }
    public required long Step { get; init; }
    public required long ImagesSeen { get; init; }

    /// <summary>Time spent in training steps so far; differs from run to run.</summary>
    public required double Seconds { get; init; }

    /// <summary>The loss that the optimizer minimizes: reconstruction + β·latent.</summary>
    public double? Loss { get; init; }

    /// <summary>−log p(x|z) per dimension; null for squared error.</summary>
    public double? ReconstructionNatsPerDim { get; init; }

    /// <summary>Mean squared error on normalized values; null if the likelihood is a density.</summary>
    public double? ReconstructionSquaredError { get; init; }

    /// <summary>−log p(class | image) in nats; of a prior −log p of a code given those before it, mean over codes; else null.</summary>
    public double? CrossEntropyNats { get; init; }

    /// <summary>Share of images that are classified correctly; null on train lines and without classes.</summary>
    public double? Accuracy { get; init; }
    public double? Latent { get; init; }
    public double? LearningRate { get; init; }
    public double? GradientNorm { get; init; }

    /// <summary>Number of skipped steps, whose loss or gradient was not finite, or whose loss exploded.</summary>
    public int? SkippedSteps { get; init; }
    public double? ImagesPerSecond { get; init; }

    /// <summary>Levels, bottom first; null on validation lines.</summary>
    public IReadOnlyList<LevelMetrics>? Levels { get; init; }

    /// <summary>The line with the optimizer's numbers since the line before.</summary>
    public MetricsRecord Trained(
        double? loss,
        double? latent,
        double learningRate,
        double? gradientNorm,
        int skippedSteps,
        double? imagesPerSecond,
        IReadOnlyList<LevelMetrics>? levels
    ) =>
        this with
        {
            Loss = loss,
            Latent = latent,
            LearningRate = learningRate,
            GradientNorm = gradientNorm,
            SkippedSteps = skippedSteps,
            ImagesPerSecond = imagesPerSecond,
            Levels = levels,
        };
}

/// <param name="Perplexity">Perplexity of one batch's codes per codebook, mean over the steps.</param>
/// <param name="Revived">Number of codes revived in the steps, per codebook.</param>
/// <param name="Dead">Number of codes that no position chose in any of the steps, per codebook; not in logs of earlier versions.</param>
public sealed record LevelMetrics(IReadOnlyList<double> Perplexity, IReadOnlyList<long> Revived, IReadOnlyList<int>? Dead = null);

/// <summary>One line of <c>events.jsonl</c>: an event that users should see.</summary>
public sealed record EventRecord
{
    /// <summary>
    /// <c>codebook_collapsed</c>, <c>codebook_recovered</c>, <c>revival_burst</c>, <c>step_skipped</c>,
    /// <c>validation_not_finite</c>, <c>fell_back</c>, <c>stopped_early</c>, <c>checkpoint_damaged</c> or <c>resumed_elsewhere</c>.
    /// </summary>
    public required string Kind { get; init; }
    public required long Step { get; init; }

    /// <summary>0 is the bottom; null if it concerns no level.</summary>
    public int? Level { get; init; }
    public int? Codebook { get; init; }

    /// <summary>One sentence, with a suggestion if there is one.</summary>
    public required string Message { get; init; }
}
