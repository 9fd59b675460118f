namespace DQ.Core.Artifacts;

/// <summary>
/// <c>chain.json</c>: training one model at growing image sizes, and how good it was at the last size along the way; beside it, where it
/// was asked for, training at that size alone with as many multiply-adds. Written again when a phase is done.
/// </summary>
public sealed record ChainRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;
    public required string Name { get; init; }

    /// <summary>Of all stages: settings, images and order.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Stages of the chain and the training from scratch, where it was asked for, are all done.</summary>
    public required bool Completed { get; init; }

    /// <summary>Pixels; the size of the last stage, at which every point of the curves was measured.</summary>
    public required int ImageSize { get; init; }

    /// <summary>Images of the validation split that every point was measured on, the first ones.</summary>
    public required int ValidationImages { get; init; }

    /// <summary>Those done, in order.</summary>
    public required IReadOnlyList<ChainStageRecord> Stages { get; init; }

    /// <summary>Training at the last size from new weights; its steps follow from the chain's multiply-adds. Null until it is done.</summary>
    public ChainStageRecord? Scratch { get; init; }
    public required DateTime UpdatedUtc { get; init; }
}

/// <summary>One stage of a chain, trained.</summary>
public sealed record ChainStageRecord
{
    public required string Name { get; init; }

    /// <summary>Id of its run; <c>parents</c> there name the run it started from.</summary>
    public required string Run { get; init; }

    /// <summary>Pixels.</summary>
    public required int ImageSize { get; init; }
    public required long Steps { get; init; }
    public required int BatchSize { get; init; }
    public required double LearningRate { get; init; }

    /// <summary>Parts of the model that were not trained.</summary>
    public required IReadOnlyList<string> Frozen { get; init; }

    /// <summary>Of one image's forward pass at this size, counted.</summary>
    public required long ForwardMultiplyAddsPerImage { get; init; }

    /// <summary>Images seen × forward × <see cref="Training.TrainingSession.MultiplyAddsFactor"/>; validation is not counted.</summary>
    public required double TrainingMultiplyAdds { get; init; }

    /// <summary>Time in training steps.</summary>
    public required double TrainingSeconds { get; init; }

    /// <summary>In order.</summary>
    public required IReadOnlyList<ChainPoint> Points { get; init; }
}

/// <summary>A model on the validation images at the chain's last size.</summary>
/// <param name="Step">Of its stage.</param>
/// <param name="TrainingSeconds">Since the chain began: in training steps, of earlier stages too.</param>
/// <param name="TrainingMultiplyAdds">Since the chain began.</param>
/// <param name="ReconstructionNatsPerDim">Null for squared error, or where it was not finite.</param>
/// <param name="ReconstructionBitsPerDim">The same in bits.</param>
/// <param name="ReconstructionSquaredError">On normalized values; null where the likelihood is a density.</param>
public sealed record ChainPoint(
    long Step,
    double TrainingSeconds,
    double TrainingMultiplyAdds,
    double? ReconstructionNatsPerDim,
    double? ReconstructionBitsPerDim,
    double? ReconstructionSquaredError
);
