namespace DQ.Core.Artifacts;

/// <summary>
/// One line of <c>metrics.jsonl</c>; its schema is that of the run's <c>run.json</c>. A <c>train</c> line holds means
/// over the steps since the line before (skipped steps left out), a <c>validation</c> line the first validation images.
/// </summary>
public sealed record MetricsRecord
{
    /// <summary><c>train</c> or <c>validation</c>.</summary>
    public required string Split { get; init; }
    public required long Step { get; init; }
    public required long ImagesSeen { get; init; }

    /// <summary>Time spent in training steps so far; differs from run to run.</summary>
    public required double Seconds { get; init; }

    /// <summary>What the optimizer minimizes: reconstruction + β·latent.</summary>
    public double? Loss { get; init; }

    /// <summary>−log p(x|z) per dimension; null for squared error.</summary>
    public double? ReconstructionNatsPerDim { get; init; }

    /// <summary>Mean squared error on normalized values; null where the likelihood is a density.</summary>
    public double? ReconstructionSquaredError { get; init; }

    /// <summary>−log p(class | image) in nats; null where there are no classes.</summary>
    public double? CrossEntropyNats { get; init; }

    /// <summary>Share of images classified rightly; null on train lines and where there are no classes.</summary>
    public double? Accuracy { get; init; }
    public double? Latent { get; init; }
    public double? LearningRate { get; init; }
    public double? GradientNorm { get; init; }

    /// <summary>Steps left out for a loss or gradient that was not finite, or a loss that exploded.</summary>
    public int? SkippedSteps { get; init; }
    public double? ImagesPerSecond { get; init; }

    /// <summary>Bottom first; null on validation lines.</summary>
    public IReadOnlyList<LevelMetrics>? Levels { get; init; }

    /// <summary>With what the optimizer did since the line before.</summary>
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

/// <param name="Perplexity">Per codebook, of one batch's codes, mean over the steps.</param>
/// <param name="Revived">Per codebook, codes revived over the steps.</param>
/// <param name="Dead">Per codebook, codes that no position chose in any of the steps; not in logs of earlier versions.</param>
public sealed record LevelMetrics(IReadOnlyList<double> Perplexity, IReadOnlyList<long> Revived, IReadOnlyList<int>? Dead = null);

/// <summary>One line of <c>events.jsonl</c>: something worth seeing.</summary>
public sealed record EventRecord
{
    /// <summary>
    /// <c>codebook_collapsed</c>, <c>codebook_recovered</c>, <c>revival_burst</c>, <c>step_skipped</c>,
    /// <c>validation_not_finite</c>, <c>fell_back</c>, <c>stopped_early</c>, <c>checkpoint_damaged</c> or <c>resumed_elsewhere</c>.
    /// </summary>
    public required string Kind { get; init; }
    public required long Step { get; init; }

    /// <summary>0 is the bottom; null where it concerns no level.</summary>
    public int? Level { get; init; }
    public int? Codebook { get; init; }

    /// <summary>One sentence, with what to try where there is something.</summary>
    public required string Message { get; init; }
}
