using System.Text.Json.Nodes;
using DQ.Core.Evaluation;

namespace DQ.Core.Artifacts;

/// <summary>Where a run stands. A run counts as whole only when <c>run.json</c> says completed.</summary>
public static class RunStatus
{
    public const string Running = "running";
    public const string Completed = "completed";
    public const string Failed = "failed";
    public const string Interrupted = "interrupted";

    /// <summary>The status to show: a run that says running, and whose owner is gone, was interrupted.</summary>
    public static string Shown(string folder, RunRecord record, DateTime nowUtc) =>
        record.Status == Running && LockRecord.LivingOwner(folder, nowUtc) is null ? Interrupted : record.Status;
}

/// <summary>What a run was made from, by its fingerprint.</summary>
/// <param name="Kind"><c>dataset</c>, <c>run</c>, or <c>file</c> for imported weights.</param>
/// <param name="Id">Folder name under <c>datasets/</c> or <c>runs/</c>; the file's name.</param>
/// <param name="Fingerprint">Of its content; of a file, its SHA-256.</param>
public sealed record Parent(string Kind, string Id, string Fingerprint);

/// <summary>Versions a run was made with.</summary>
public sealed record SoftwareRecord(string Dq, string TorchSharp, string LibTorch, string Runtime, string System);

/// <summary>The numbers of a run to show first, from its latest evaluation; all of it is in <c>evaluation.json</c>.</summary>
/// <param name="Split">The last split evaluated: test where there is one.</param>
/// <param name="Images">Images of it.</param>
/// <param name="Step">Step of the checkpoint evaluated.</param>
/// <param name="ReconstructionNatsPerDim">Null for squared error, as the next three.</param>
/// <param name="ReconstructionBitsPerDim">The same in bits.</param>
/// <param name="TotalUniformBitsPerDim">With the codes at equal length.</param>
/// <param name="TotalEmpiricalBitsPerDim">With the codes under the training split's frequencies.</param>
/// <param name="PsnrDb">Of the mean image, averaged over images, at most 100 dB each (docs/metrics.md).</param>
public sealed record Headline(
    string Split,
    long Images,
    long Step,
    double? ReconstructionNatsPerDim,
    double? ReconstructionBitsPerDim,
    double? TotalUniformBitsPerDim,
    double? TotalEmpiricalBitsPerDim,
    double PsnrDb
)
{
    public static Headline Of(string name, long step, SplitEvaluation split) =>
        new(
            name,
            split.Images,
            step,
            split.ReconstructionNatsPerDim,
            split.ReconstructionBitsPerDim,
            split.TotalUniformBitsPerDim,
            split.TotalEmpiricalBitsPerDim,
            split.PsnrDb
        );
}

/// <summary>A classifier's numbers to show first, from its latest evaluation; all of it is in <c>classification.json</c>.</summary>
/// <param name="Split">The last split evaluated: test where there is one.</param>
/// <param name="Images">Images of it.</param>
/// <param name="Step">Step of the checkpoint evaluated.</param>
/// <param name="Accuracy">Share of images classified rightly.</param>
/// <param name="BitsPerImageUniform">Of the codes, at equal length; null without codes.</param>
public sealed record ClassificationHeadline(string Split, long Images, long Step, double Accuracy, double? BitsPerImageUniform);

/// <summary><c>run.json</c>: one training run and where it stands, or a model that was imported.</summary>
public sealed record RunRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;
    public required string Id { get; init; }
    public required string Name { get; init; }

    /// <summary>Name of the variant in its configuration; empty where there are none.</summary>
    public string Variant { get; init; } = "";

    /// <summary><c>train</c>, <c>import</c>, <c>density</c>, <c>classify</c>, <c>intervals</c> or <c>allocate</c>.</summary>
    public string Stage { get; init; } = "train";

    /// <summary>One of <see cref="RunStatus"/>. A <c>running</c> run whose lock has no living owner was interrupted.</summary>
    public required string Status { get; init; }

    /// <summary>Why it failed or stopped, one line; null otherwise.</summary>
    public string? Reason { get; init; }

    /// <summary>Of stage, version, configuration and parents: the same fingerprint means the same run.</summary>
    public required string Fingerprint { get; init; }
    public required long Seed { get; init; }

    /// <summary>The resolved configuration, every key said.</summary>
    public required JsonObject Config { get; init; }
    public required IReadOnlyList<Parent> Parents { get; init; }

    /// <summary>What an import left out or reads otherwise, one line each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
    public required SoftwareRecord Software { get; init; }
    public required string Device { get; init; }
    public required int Threads { get; init; }
    public required DateTime StartedUtc { get; init; }
    public required DateTime UpdatedUtc { get; init; }

    /// <summary>Steps from which the run was taken up again.</summary>
    public IReadOnlyList<long> ResumedAtSteps { get; init; } = [];

    /// <summary>Trainable parameters, codebooks not counted; null until the model was built.</summary>
    public long? Parameters { get; init; }

    /// <summary>Of one image's forward pass, counted (<see cref="Autoencoders.HierarchicalAutoencoder.MultiplyAdds"/>); null as above, and for a
    /// classifier.</summary>
    public long? ForwardMultiplyAddsPerImage { get; init; }
    public required long Steps { get; init; }
    public long StepsDone { get; init; }
    public long ImagesSeen { get; init; }

    /// <summary>Time spent in training steps, over all interruptions.</summary>
    public double TrainingSeconds { get; init; }
    public double? ImagesPerSecond { get; init; }

    /// <summary>Reconstruction on the validation images at the end; null for squared error.</summary>
    public double? ValidationReconstructionNatsPerDim { get; init; }

    /// <summary>Squared error on normalized values on the validation images; null where the likelihood is a density.</summary>
    public double? ValidationSquaredError { get; init; }

    /// <summary>Share of the validation images that were classified rightly, at the end; null where there are no classes.</summary>
    public double? ValidationAccuracy { get; init; }

    /// <summary>Step of the best validation.</summary>
    public long? BestStep { get; init; }

    /// <summary>Null before it was evaluated, and for a classifier.</summary>
    public Headline? Headline { get; init; }

    /// <summary>Of a classifier; null before it was evaluated.</summary>
    public ClassificationHeadline? Classification { get; init; }

    /// <summary>Work begins, at the steps done so far when the run is taken up again.</summary>
    public RunRecord Begun(
        SoftwareRecord software,
        string device,
        int threads,
        long parameters,
        long? forwardMultiplyAddsPerImage,
        DateTime nowUtc
    ) =>
        this with
        {
            Status = RunStatus.Running,
            Reason = null,
            Software = software,
            Device = device,
            Threads = threads,
            Parameters = parameters,
            ForwardMultiplyAddsPerImage = forwardMultiplyAddsPerImage,
            Headline = null,
            Classification = null,
            UpdatedUtc = nowUtc,
            ResumedAtSteps = StepsDone > 0 ? [.. ResumedAtSteps, StepsDone] : ResumedAtSteps,
        };

    /// <summary>A checkpoint was written.</summary>
    public RunRecord At(
        long stepsDone,
        long imagesSeen,
        double trainingSeconds,
        double? validationNatsPerDim,
        double? validationSquaredError,
        long? bestStep,
        DateTime nowUtc,
        double? validationAccuracy = null
    ) =>
        this with
        {
            StepsDone = stepsDone,
            ImagesSeen = imagesSeen,
            TrainingSeconds = trainingSeconds,
            ImagesPerSecond = trainingSeconds > 0 ? imagesSeen / trainingSeconds : null,
            ValidationReconstructionNatsPerDim = validationNatsPerDim,
            ValidationSquaredError = validationSquaredError,
            ValidationAccuracy = validationAccuracy,
            BestStep = bestStep,
            UpdatedUtc = nowUtc,
        };

    /// <summary>It was evaluated.</summary>
    public RunRecord Evaluated(Headline headline) => this with { Headline = headline };

    /// <summary>The same for a classifier.</summary>
    public RunRecord Evaluated(ClassificationHeadline headline) => this with { Classification = headline };

    /// <summary>Work ended: a <see cref="RunStatus"/> and, but for completed, one line why.</summary>
    public RunRecord Ended(string status, string? reason, DateTime nowUtc) =>
        this with
        {
            Status = status,
            Reason = reason,
            UpdatedUtc = nowUtc,
        };
}
