using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

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

/// <summary>What a run is of; in <c>run.json</c> by its name in snake_case, under <c>stage</c>.</summary>
public enum RunKind
{
    /// <summary>A trained autoencoder.</summary>
    Train,

    /// <summary>An autoencoder whose weights came from elsewhere.</summary>
    Import,

    /// <summary>Density estimates of a network's features.</summary>
    Density,

    /// <summary>A trained classifier.</summary>
    Classify,

    /// <summary>The intervals of a network's channels.</summary>
    Intervals,

    /// <summary>Bits for a network's channels.</summary>
    Allocate,
}

/// <summary>Names of kinds as <c>run.json</c> has them.</summary>
public static class RunKindNames
{
    public static string Name(this RunKind kind) => JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString());
}

/// <summary>What a run was made from, by its fingerprint.</summary>
/// <param name="Kind"><c>dataset</c>, <c>run</c>, or <c>file</c> for imported weights.</param>
/// <param name="Id">Folder name under <c>datasets/</c> or <c>runs/</c>; the file's name.</param>
/// <param name="Fingerprint">Of its content; of a file, its SHA-256.</param>
public sealed record Parent(string Kind, string Id, string Fingerprint);

/// <summary>Versions a run was made with.</summary>
/// <param name="Dq">Version of this program.</param>
/// <param name="TorchSharp">Version of the package.</param>
/// <param name="LibTorch">Version of the library that was loaded; <c>unknown</c> where its folder does not say.</param>
/// <param name="Runtime">.NET, with its version.</param>
/// <param name="System">The operating system.</param>
/// <param name="Commit">The commit that this program was built from, 40 digits; absent in a build outside of git, and before 0.2.0.</param>
public sealed record SoftwareRecord(
    string Dq,
    string TorchSharp,
    string LibTorch,
    string Runtime,
    string System,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Commit = null
);

/// <summary>The numbers of a run to show first, from its latest evaluation; all of it is in <c>evaluation.json</c>.</summary>
/// <param name="Split">The last split evaluated: test where there is one.</param>
/// <param name="Images">Images of it.</param>
/// <param name="Step">Step of the checkpoint evaluated.</param>
/// <param name="ReconstructionNatsPerDim">Null for squared error, as the next three.</param>
/// <param name="ReconstructionBitsPerDim">The same in bits.</param>
/// <param name="TotalUniformBitsPerDim">With the codes at equal length.</param>
/// <param name="TotalEmpiricalBitsPerDim">With the codes under the training split's frequencies.</param>
/// <param name="PsnrDb">Of the mean image, averaged over images, at most 100 dB each (docs/metrics.md); null without levels.</param>
public sealed record Headline(
    string Split,
    long Images,
    long Step,
    double? ReconstructionNatsPerDim,
    double? ReconstructionBitsPerDim,
    double? TotalUniformBitsPerDim,
    double? TotalEmpiricalBitsPerDim,
    double? PsnrDb
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

/// <summary>How a model was trained.</summary>
/// <param name="Parameters">Trainable, codebooks not counted; null until the model was built.</param>
/// <param name="ForwardMultiplyAddsPerImage">Of one image's forward pass, counted; null as above, and for a classifier.</param>
/// <param name="ImagesSeen">With repetition.</param>
/// <param name="Seconds">Time spent in training steps, over all interruptions.</param>
/// <param name="ImagesPerSecond">Over all steps.</param>
/// <param name="BestStep">Step of the best validation.</param>
public sealed record TrainingFacts(
    long? Parameters,
    long? ForwardMultiplyAddsPerImage,
    long ImagesSeen,
    double Seconds,
    double? ImagesPerSecond,
    long? BestStep
);

/// <summary>What a run has besides what all have, by its kind.</summary>
public abstract record RunPayload;

/// <summary>Of a run whose output is a model.</summary>
public abstract record ModelPayload(TrainingFacts Training) : RunPayload;

/// <summary>Of an autoencoder, trained or imported.</summary>
/// <param name="Training">How it was trained.</param>
/// <param name="ValidationReconstructionNatsPerDim">On the validation images at the end; null for squared error.</param>
/// <param name="ValidationSquaredError">On normalized values; null where the likelihood is a density.</param>
/// <param name="Headline">Null before it was evaluated.</param>
public sealed record AutoencoderPayload(
    TrainingFacts Training,
    double? ValidationReconstructionNatsPerDim,
    double? ValidationSquaredError,
    Headline? Headline
) : ModelPayload(Training);

/// <summary>Of a classifier.</summary>
/// <param name="Training">How it was trained.</param>
/// <param name="ValidationAccuracy">Share of the validation images that were classified rightly, at the end.</param>
/// <param name="Classification">Null before it was evaluated.</param>
public sealed record ClassifierPayload(TrainingFacts Training, double? ValidationAccuracy, ClassificationHeadline? Classification)
    : ModelPayload(Training);

/// <summary>Of a run that measures and trains no model: its numbers are in a file of their own.</summary>
public sealed record MeasurementPayload : RunPayload;

/// <summary><c>run.json</c>: a run of any <see cref="RunKind"/>, and where it stands.</summary>
public sealed record RunRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;
    public required string Id { get; init; }
    public required string Name { get; init; }

    /// <summary>Name of the variant in its configuration; empty where there are none.</summary>
    public string Variant { get; init; } = "";

    [JsonPropertyName("stage")]
    public RunKind Kind { get; init; } = RunKind.Train;

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

    public required long Steps { get; init; }
    public long StepsDone { get; init; }

    /// <summary>What this kind of run has besides.</summary>
    [JsonIgnore]
    public RunPayload Payload =>
        Kind switch
        {
            RunKind.Train or RunKind.Import => new AutoencoderPayload(
                Training,
                ValidationReconstructionNatsPerDim,
                ValidationSquaredError,
                Headline
            ),
            RunKind.Classify => new ClassifierPayload(Training, ValidationAccuracy, Classification),
            _ => new MeasurementPayload(),
        };

    /// <summary>How a model was trained; null where none was.</summary>
    [JsonIgnore]
    public TrainingFacts? Trained => (Payload as ModelPayload)?.Training;

    private TrainingFacts Training => new(Parameters, ForwardMultiplyAddsPerImage, ImagesSeen, TrainingSeconds, ImagesPerSecond, BestStep);

    // as run.json has them, side by side: earlier programs wrote and read them so
    [JsonInclude]
    private long? Parameters { get; init; }

    [JsonInclude]
    private long? ForwardMultiplyAddsPerImage { get; init; }

    [JsonInclude]
    private long ImagesSeen { get; init; }

    [JsonInclude]
    private double TrainingSeconds { get; init; }

    [JsonInclude]
    private double? ImagesPerSecond { get; init; }

    [JsonInclude]
    private double? ValidationReconstructionNatsPerDim { get; init; }

    [JsonInclude]
    private double? ValidationSquaredError { get; init; }

    [JsonInclude]
    private double? ValidationAccuracy { get; init; }

    [JsonInclude]
    private long? BestStep { get; init; }

    [JsonInclude]
    private Headline? Headline { get; init; }

    [JsonInclude]
    private ClassificationHeadline? Classification { get; init; }

    /// <summary>Work begins, at the steps done so far when the run is taken up again.</summary>
    public RunRecord Begun(SoftwareRecord software, string device, int threads, DateTime nowUtc) =>
        this with
        {
            Status = RunStatus.Running,
            Reason = null,
            Software = software,
            Device = device,
            Threads = threads,
            Headline = null,
            Classification = null,
            UpdatedUtc = nowUtc,
            ResumedAtSteps = StepsDone > 0 ? [.. ResumedAtSteps, StepsDone] : ResumedAtSteps,
        };

    /// <summary>The model to train was built; null where its multiply-adds are not counted.</summary>
    public RunRecord Built(long parameters, long? forwardMultiplyAddsPerImage) =>
        this with
        {
            Parameters = parameters,
            ForwardMultiplyAddsPerImage = forwardMultiplyAddsPerImage,
        };

    /// <summary>Weights came from elsewhere, trained for so many steps.</summary>
    public RunRecord Imported(long parameters, long steps) => this with { Parameters = parameters, StepsDone = steps };

    /// <summary>One line more about how it came about; a line that is there already is not repeated.</summary>
    public RunRecord Noted(string note) => this with { Notes = [.. Notes.Append(note).Distinct()] };

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
