namespace DQ.Core.Artifacts;

/// <summary>The output of <c>dq bench</c>: times of the parts of the work, and the machine's peak speeds.</summary>
public sealed record BenchmarkRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Name of the configuration, with its variant.</summary>
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

    /// <summary>Multiply-adds of all convolutions for one image, forward.</summary>
    public required long MultiplyAddsPerImage { get; init; }
    public required MachinePeaks MachinePeaks { get; init; }
    public required IReadOnlyList<BenchmarkPart> Parts { get; init; }

    /// <summary>Peak resident memory of the whole process during the training steps; null if the system does not report it.</summary>
    public required long? PeakResidentBytes { get; init; }

    /// <summary>Managed memory allocated per training step by all threads, in bytes.</summary>
    public required long ManagedBytesPerStep { get; init; }
}

/// <summary>The peak speeds of this machine with this libtorch and number of threads, for comparison with other rates.</summary>
/// <param name="MatrixProductFlopsPerSecond">Product of two 1,024² float32 matrices, 2·n³ operations.</param>
/// <param name="ConvolutionFlopsPerSecond">3×3 convolution, 128 to 128 channels on 32 maps of 16×16.</param>
/// <param name="CopyBytesPerSecond">Copy of 64 MiB, bytes read and written together.</param>
public sealed record MachinePeaks(double MatrixProductFlopsPerSecond, double ConvolutionFlopsPerSecond, double CopyBytesPerSecond);

/// <summary>One timed part.</summary>
/// <param name="Name"><c>step</c>, or another whole operation; <c>step/…</c> for the stages, whose times add up to the step's.</param>
/// <param name="MedianSeconds">Median time for one batch.</param>
/// <param name="SpreadSeconds">Difference between the quartiles.</param>
/// <param name="Repetitions">Number of timed repetitions.</param>
public sealed record BenchmarkPart(string Name, double MedianSeconds, double SpreadSeconds, int Repetitions)
{
    public required double ImagesPerSecond { get; init; }

    /// <summary>Its median divided by that of the whole step; null if it is not part of a step.</summary>
    public double? ShareOfStep { get; init; }

    /// <summary>Floating-point operations of convolutions per second, two per multiply-add; null without convolutions.</summary>
    public double? FlopsPerSecond { get; init; }

    /// <summary>Bytes that the work must read and write, divided by its time; null if memory does not limit it.</summary>
    public double? BytesPerSecond { get; init; }

    /// <summary>Growth of resident memory at the part's peak; null if it was not measured.</summary>
    public long? PeakGrowthBytes { get; init; }
}
