using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace DQ.Core.Artifacts;

/// <summary>Status of a run. A run is complete only if <c>run.json</c> has the status completed.</summary>
public static class RunStatus
{
    public const string Running = "running";
    public const string Completed = "completed";
    public const string Failed = "failed";
    public const string Interrupted = "interrupted";

    /// <summary>The status to show: a run with status running whose owner is dead was interrupted.</summary>
    public static string Shown(string folder, RunRecord record, DateTime nowUtc) =>
        record.Status == Running && LockRecord.LivingOwner(folder, nowUtc) is null ? Interrupted : record.Status;
}

/// <summary>Kind of a run; in <c>run.json</c> its name in snake_case, under <c>stage</c>.</summary>
public enum RunKind
{
    /// <summary>A trained autoencoder.</summary>
    Train,

    /// <summary>An autoencoder with imported weights.</summary>
    Import,

    /// <summary>Density estimates of a network's features.</summary>
    Density,

    /// <summary>A trained classifier.</summary>
    Classify,

    /// <summary>The intervals of a network's channels.</summary>
    Intervals,

    /// <summary>Bits for a network's channels.</summary>
    Allocate,

    /// <summary>A trained prior over an autoencoder's codes.</summary>
    Prior,
}

/// <summary>Names of kinds in <c>run.json</c>.</summary>
public static class RunKindNames
{
    public static string Name(this RunKind kind) => JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString());
}

/// <summary>An input of a run, with its fingerprint.</summary>
/// <param name="Kind"><c>dataset</c>, <c>run</c>, or <c>file</c> for imported weights.</param>
/// <param name="Id">Folder name under <c>datasets/</c> or <c>runs/</c>; the file's name.</param>
/// <param name="Fingerprint">Fingerprint of its content; the SHA-256 of a file.</param>
public sealed record Parent(string Kind, string Id, string Fingerprint);

/// <summary>Versions a run was made with.</summary>
/// <param name="Dq">Version of this program.</param>
/// <param name="TorchSharp">Version of the package.</param>
/// <param name="LibTorch">Version of the library that was loaded; <c>unknown</c> if its folder has no version.</param>
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

/// <summary>The most important numbers of a run, from its latest evaluation. <c>evaluation.json</c> has all numbers.</summary>
/// <param name="Split">The last split evaluated: test where there is one.</param>
/// <param name="Images">Images of it.</param>
/// <param name="Step">Step of the checkpoint evaluated.</param>
/// <param name="ReconstructionNatsPerDim">Reconstruction loss; null for squared error, as the next three numbers.</param>
/// <param name="ReconstructionBitsPerDim">Reconstruction loss in bits.</param>
/// <param name="TotalUniformBitsPerDim">Total with codes of equal length.</param>
/// <param name="TotalEmpiricalBitsPerDim">Total with codes under the training split's frequencies.</param>
/// <param name="PsnrDb">PSNR of the mean image, averaged over images, at most 100 dB each (docs/metrics.md); null without levels.</param>
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

/// <summary>The most important numbers of a classifier, from its latest evaluation. <c>classification.json</c> has all numbers.</summary>
/// <param name="Split">The last split evaluated: test where there is one.</param>
/// <param name="Images">Images of it.</param>
/// <param name="Step">Step of the checkpoint evaluated.</param>
/// <param name="Accuracy">Share of images that are classified correctly.</param>
/// <param name="BitsPerImageUniform">Bits per image with codes of equal length; null without codes.</param>
public sealed record ClassificationHeadline(string Split, long Images, long Step, double Accuracy, double? BitsPerImageUniform);

/// <summary>How a model was trained.</summary>
/// <param name="Parameters">Number of trainable parameters, without codebooks; null before the model is built.</param>
/// <param name="ForwardMultiplyAddsPerImage">Counted multiply-adds of one image's forward pass; null before the model is built, and for a
/// classifier.</param>
/// <param name="ImagesSeen">Number of training images, with repetition.</param>
/// <param name="Seconds">Total time in training steps, in seconds; it includes the time before interruptions.</param>
/// <param name="ImagesPerSecond">Images per second over all steps.</param>
/// <param name="BestStep">Step of the best validation.</param>
public sealed record TrainingFacts(
    long? Parameters,
    long? ForwardMultiplyAddsPerImage,
    long ImagesSeen,
    double Seconds,
    double? ImagesPerSecond,
    long? BestStep
);

/// <summary>The part of a run's record that depends on its kind.</summary>
public abstract record RunPayload;

/// <summary>The part for a run whose output is a model.</summary>
public abstract record ModelPayload(TrainingFacts Training) : RunPayload;

/// <summary>The part for an autoencoder, trained or imported.</summary>
/// <param name="Training">How it was trained.</param>
/// <param name="ValidationReconstructionNatsPerDim">Reconstruction loss on the validation images at the end; null for squared
/// error.</param>
/// <param name="ValidationSquaredError">Squared error on normalized values at the end; null if the likelihood is a density.</param>
/// <param name="Headline">The most important numbers; null before the evaluation.</param>
public sealed record AutoencoderPayload(
    TrainingFacts Training,
    double? ValidationReconstructionNatsPerDim,
    double? ValidationSquaredError,
    Headline? Headline
) : ModelPayload(Training);

/// <summary>The part for a classifier.</summary>
/// <param name="Training">How it was trained.</param>
/// <param name="ValidationAccuracy">Share of the validation images that are classified correctly at the end.</param>
/// <param name="Classification">The most important numbers; null before the evaluation.</param>
public sealed record ClassifierPayload(TrainingFacts Training, double? ValidationAccuracy, ClassificationHeadline? Classification)
    : ModelPayload(Training);

/// <summary>The part for a prior over codes. Its rates are in <c>prior.json</c>.</summary>
/// <param name="Training">How it was trained.</param>
public sealed record PriorPayload(TrainingFacts Training) : ModelPayload(Training);

/// <summary>The part for a run that measures and trains no model. Its numbers are in another file.</summary>
public sealed record MeasurementPayload : RunPayload;

/// <summary><c>run.json</c>: a run of any <see cref="RunKind"/>, and its status.</summary>
public sealed record RunRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;
    public required string Id { get; init; }
    public required string Name { get; init; }

    /// <summary>Name of the variant in its configuration; empty without variants.</summary>
    public string Variant { get; init; } = "";

    [JsonPropertyName("stage")]
    public RunKind Kind { get; init; } = RunKind.Train;

    /// <summary>One of <see cref="RunStatus"/>. A <c>running</c> run was interrupted if the owner of its lock is dead.</summary>
    public required string Status { get; init; }

    /// <summary>The reason why it failed or stopped, one line; null otherwise.</summary>
    public string? Reason { get; init; }

    /// <summary>Fingerprint of stage, version, configuration and parents. The same fingerprint means the same run.</summary>
    public required string Fingerprint { get; init; }
    public required long Seed { get; init; }

    /// <summary>The resolved configuration, with every key.</summary>
    public required JsonObject Config { get; init; }
    public required IReadOnlyList<Parent> Parents { get; init; }

    /// <summary>Notes, one line each, such as what an import left out or reads differently.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
    public required SoftwareRecord Software { get; init; }
    public required string Device { get; init; }
    public required int Threads { get; init; }

    /// <summary>Processes that work on it together; absent for one.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Ranks { get; init; }

    public required DateTime StartedUtc { get; init; }
    public required DateTime UpdatedUtc { get; init; }

    /// <summary>Steps at which the run was resumed.</summary>
    public IReadOnlyList<long> ResumedAtSteps { get; init; } = [];

    public required long Steps { get; init; }
    public long StepsDone { get; init; }

    /// <summary>The part of the record that depends on the kind.</summary>
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
            RunKind.Prior => new PriorPayload(Training),
            _ => new MeasurementPayload(),
        };

    /// <summary>How a model was trained; null if no model was trained.</summary>
    [JsonIgnore]
    public TrainingFacts? Trained => (Payload as ModelPayload)?.Training;

    private TrainingFacts Training => new(Parameters, ForwardMultiplyAddsPerImage, ImagesSeen, TrainingSeconds, ImagesPerSecond, BestStep);

    // flat, as in run.json, because earlier programs wrote and read it in this form
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

    /// <summary>Records the start of work; for a resumed run, at the steps done so far.</summary>
    public RunRecord Begun(SoftwareRecord software, string device, int threads, DateTime nowUtc, int? ranks = null) =>
        this with
        {
            Status = RunStatus.Running,
            Reason = null,
            Software = software,
            Device = device,
            Threads = threads,
            Ranks = ranks,
            Headline = null,
            Classification = null,
            UpdatedUtc = nowUtc,
            ResumedAtSteps = StepsDone > 0 ? [.. ResumedAtSteps, StepsDone] : ResumedAtSteps,
        };

    /// <summary>Records that the model was built; null if its multiply-adds are not counted.</summary>
    public RunRecord Built(long parameters, long? forwardMultiplyAddsPerImage) =>
        this with
        {
            Parameters = parameters,
            ForwardMultiplyAddsPerImage = forwardMultiplyAddsPerImage,
        };

    /// <summary>Records imported weights, and the number of steps that they were trained for.</summary>
    public RunRecord Imported(long parameters, long steps) => this with { Parameters = parameters, StepsDone = steps };

    /// <summary>Adds a note; a line that exists already is not repeated.</summary>
    public RunRecord Noted(string note) => this with { Notes = [.. Notes.Append(note).Distinct()] };

    /// <summary>Records that a checkpoint was written.</summary>
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

    /// <summary>Records an evaluation.</summary>
    public RunRecord Evaluated(Headline headline) => this with { Headline = headline };

    /// <summary>Records the evaluation of a classifier.</summary>
    public RunRecord Evaluated(ClassificationHeadline headline) => this with { Classification = headline };

    /// <summary>Records the end of work: a <see cref="RunStatus"/> and, unless it is completed, a reason in one line.</summary>
    public RunRecord Ended(string status, string? reason, DateTime nowUtc) =>
        this with
        {
            Status = status,
            Reason = reason,
            UpdatedUtc = nowUtc,
        };
}
