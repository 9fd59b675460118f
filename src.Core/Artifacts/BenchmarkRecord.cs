namespace DQ.Core.Artifacts;

/// <summary>What <c>dq bench</c> prints: how long the parts of the work take, beside what the machine reaches at best.</summary>
public sealed record BenchmarkRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Of the configuration, with its variant.</summary>
    public required string Name { get; init; }
    public required SoftwareRecord Software { get; init; }
    public required string Device { get; init; }
    public required int Threads { get; init; }
    public required int BatchSize { get; init; }
    public required int ImageChannels { get; init; }
    public required int ImageHeight { get; init; }
    public required int ImageWidth { get; init; }

    /// <summary>Trainable parameters, codebooks not counted.</summary>
    public required long Parameters { get; init; }

    /// <summary>Of all convolutions for one image, forward.</summary>
    public required long MultiplyAddsPerImage { get; init; }
    public required MachinePeaks MachinePeaks { get; init; }
    public required IReadOnlyList<BenchmarkPart> Parts { get; init; }

    /// <summary>Resident memory at the peak of the training steps, of the whole process; null where the system doesn't tell.</summary>
    public required long? PeakResidentBytes { get; init; }

    /// <summary>Managed memory allocated per training step, all threads.</summary>
    public required long ManagedBytesPerStep { get; init; }
}

/// <summary>What this machine reaches at best with this libtorch and as many threads: what other rates are seen beside.</summary>
/// <param name="MatrixProductFlopsPerSecond">Product of two 1,024² float32 matrices, 2·n³ operations.</param>
/// <param name="ConvolutionFlopsPerSecond">3×3 convolution, 128 to 128 channels on 32 maps of 16×16.</param>
/// <param name="CopyBytesPerSecond">Copy of 64 MiB, bytes read and written together.</param>
public sealed record MachinePeaks(double MatrixProductFlopsPerSecond, double ConvolutionFlopsPerSecond, double CopyBytesPerSecond);

/// <summary>One timed part.</summary>
/// <param name="Name"><c>step</c>, or another whole; <c>step/…</c> for its stages, which add up to it.</param>
/// <param name="MedianSeconds">For one batch.</param>
/// <param name="SpreadSeconds">Between the quartiles.</param>
/// <param name="Repetitions">Counted.</param>
public sealed record BenchmarkPart(string Name, double MedianSeconds, double SpreadSeconds, int Repetitions)
{
    public required double ImagesPerSecond { get; init; }

    /// <summary>Its median over that of the whole step; null for what a step does not contain.</summary>
    public double? ShareOfStep { get; init; }

    /// <summary>Of convolutions, two per multiply-add; null where there are none.</summary>
    public double? FlopsPerSecond { get; init; }

    /// <summary>Bytes the work cannot do without, read and written, over its time; null where that is not what bounds it.</summary>
    public double? BytesPerSecond { get; init; }

    /// <summary>Growth of resident memory at the part's peak; null where not measured.</summary>
    public long? PeakGrowthBytes { get; init; }
}
