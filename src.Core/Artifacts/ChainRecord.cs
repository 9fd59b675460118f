namespace DQ.Core.Artifacts;

/// <summary>
/// <c>chain.json</c>: training one model at growing image sizes, and its quality at the last size during training. If configured, also
/// training at that size alone with as many multiply-adds. The file is written again when a phase is done.
/// </summary>
public sealed record ChainRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;
    public required string Name { get; init; }

    /// <summary>Fingerprint of all phases: settings, images and order.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Whether all phases, and the training from scratch if configured, are done.</summary>
    public required bool Completed { get; init; }

    /// <summary>Image width in pixels of the last phase, at which every point of the curves was measured.</summary>
    public required int ImageSize { get; init; }

    /// <summary>Number of images, the first of the validation split, on which every point was measured.</summary>
    public required int ValidationImages { get; init; }

    /// <summary>The finished phases in order.</summary>
    public required IReadOnlyList<ChainStageRecord> Stages { get; init; }

    /// <summary>Training at the last size from new weights; its steps follow from the chain's multiply-adds. Null until it is
    /// done.</summary>
    public ChainStageRecord? Scratch { get; init; }
    public required DateTime UpdatedUtc { get; init; }
}

/// <summary>One trained phase of a chain.</summary>
public sealed record ChainStageRecord
{
    public required string Name { get; init; }

    /// <summary>Id of its run; <c>parents</c> there name the run it started from.</summary>
    public required string Run { get; init; }

    /// <summary>Image width in pixels.</summary>
    public required int ImageSize { get; init; }
    public required long Steps { get; init; }
    public required int BatchSize { get; init; }
    public required double LearningRate { get; init; }

    /// <summary>Parts of the model that were not trained.</summary>
    public required IReadOnlyList<string> Frozen { get; init; }

    /// <summary>Counted multiply-adds of one image's forward pass at this size.</summary>
    public required long ForwardMultiplyAddsPerImage { get; init; }

    /// <summary>Images seen × forward × <see cref="Training.TrainingSession.MultiplyAddsFactor"/>; validation is not counted.</summary>
    public required double TrainingMultiplyAdds { get; init; }

    /// <summary>Time in training steps, in seconds.</summary>
    public required double TrainingSeconds { get; init; }

    /// <summary>Points of the curve in order.</summary>
    public required IReadOnlyList<ChainPoint> Points { get; init; }
}

/// <summary>A model on the validation images at the chain's last size.</summary>
/// <param name="Step">Step within its phase.</param>
/// <param name="TrainingSeconds">Time in training steps since the chain began, with earlier phases.</param>
/// <param name="TrainingMultiplyAdds">Multiply-adds of training since the chain began.</param>
/// <param name="ReconstructionNatsPerDim">Reconstruction loss; null for squared error, or if it was not finite.</param>
/// <param name="ReconstructionBitsPerDim">Reconstruction loss in bits.</param>
/// <param name="ReconstructionSquaredError">Squared error on normalized values; null if the likelihood is a density.</param>
public sealed record ChainPoint(
    long Step,
    double TrainingSeconds,
    double TrainingMultiplyAdds,
    double? ReconstructionNatsPerDim,
    double? ReconstructionBitsPerDim,
    double? ReconstructionSquaredError
);
