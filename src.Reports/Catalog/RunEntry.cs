using DQ.Core.Artifacts;

namespace DQ.Reports.Catalog;

/// <summary>A run's folder as last seen; replaced whole when its files change.</summary>
public sealed record RunEntry
{
    /// <summary>Shown where <c>run.json</c> can't be read.</summary>
    public const string Damaged = "damaged";

    /// <summary>Folder name: what the site knows the run by, whatever its record says.</summary>
    public required string Id { get; init; }

    /// <summary>Null where it can't be read.</summary>
    public RunRecord? Record { get; init; }

    /// <summary>One of <see cref="RunStatus"/>, or <see cref="Damaged"/>.</summary>
    public required string Status { get; init; }

    /// <summary>Null before the run was evaluated, and where that can't be read.</summary>
    public EvaluationRecord? Evaluation { get; init; }

    /// <summary>Splits of the evaluations beside it; none for most runs.</summary>
    public IReadOnlyList<OtherEvaluation> OtherEvaluations { get; init; } = [];

    /// <summary>What is wrong with its files, a line each; empty for most.</summary>
    public IReadOnlyList<string> Problems { get; init; } = [];

    public RunAnnotation Annotation { get; init; } = RunAnnotation.None;

    /// <summary>Changes when a file of the run that pages show does.</summary>
    public required long Version { get; init; }

    /// <summary>Name and variant, as <c>quickstart-dq</c>; the folder's where there is no record.</summary>
    public string Name =>
        Record switch
        {
            null => Id,
            { Variant: "" } record => record.Name,
            var record => $"{record.Name}-{record.Variant}",
        };

    public DateTime? StartedUtc => Record?.StartedUtc;

    /// <summary>Null where no model was trained.</summary>
    public TrainingFacts? Trained => Record?.Trained;

    /// <summary>Null for what is no autoencoder.</summary>
    public AutoencoderPayload? Autoencoder => Record?.Payload as AutoencoderPayload;

    /// <summary>Null for what is no classifier.</summary>
    public ClassifierPayload? Classifier => Record?.Payload as ClassifierPayload;

    /// <summary>What it made, as a noun.</summary>
    public string Kind =>
        Record?.Kind switch
        {
            null => "",
            RunKind.Train => "autoencoder",
            RunKind.Import => "imported autoencoder",
            RunKind.Density => "density",
            RunKind.Classify => "classifier",
            RunKind.Intervals => "interval table",
            RunKind.Allocate => "bit allocation",
            RunKind.Prior => "prior over codes",
            _ => throw new ArgumentOutOfRangeException(nameof(Record), Record.Kind, "expected a kind of run"),
        };

    /// <summary>Kind of quantizer; <c>none</c> for a classifier of features as they are.</summary>
    public string Method =>
        Setting("classification", "quantized") == "none" ? "none"
        : Setting("model", "quantizer", "kind") is { Length: > 0 } kind ? kind
        : Setting("allocation", "quantizer");

    /// <summary>Where the images are from: the data set's name where the source is one, else its folder's.</summary>
    public string Dataset =>
        Source is "idx" or "folder" or "imagenet_downsampled"
        && Path.GetFileName(Setting("data", "path").TrimEnd('/', '\\')) is { Length: > 0 } folder
            ? folder
            : Source;

    /// <summary>Its packed data set: the same images cut into the same splits. Empty where it has none.</summary>
    public string ImagesId => Record?.Parents.FirstOrDefault(parent => parent.Kind == "dataset")?.Id ?? "";

    /// <summary>How the images are read, such as <c>cifar10</c> or <c>folder</c>.</summary>
    public string Source => Setting("data", "source");

    /// <summary>What is learned of pixels; empty where they are not reconstructed.</summary>
    public string Likelihood =>
        Record?.Kind == RunKind.Prior || (Record?.Kind == RunKind.Classify && Setting("classification", "mode") != "autoencoder_head")
            ? ""
            : Setting("model", "likelihood", "kind");

    public SplitEvaluation? Split(string name) => Evaluation?.Splits.GetValueOrDefault(name);

    /// <summary>A value of its configuration; null where there is none.</summary>
    public System.Text.Json.Nodes.JsonNode? Node(params ReadOnlySpan<string> keys)
    {
        System.Text.Json.Nodes.JsonNode? node = Record?.Config;
        foreach (var key in keys)
            node = (node as System.Text.Json.Nodes.JsonObject)?[key];
        return node;
    }

    private string Setting(params ReadOnlySpan<string> keys) =>
        Node(keys) is System.Text.Json.Nodes.JsonValue leaf && leaf.TryGetValue<string>(out var text) ? text : "";
}
