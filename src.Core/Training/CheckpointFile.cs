using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using DQ.Core.Formats;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>The position of a training run: its state except the tensors.</summary>
/// <param name="Seed">Seed of all random choices.</param>
/// <param name="StepsDone">Optimizer steps done, with skipped ones.</param>
/// <param name="ImagesSeen">Training images so far, with repetition.</param>
/// <param name="CodebooksReady">False before k-means has chosen the first codes.</param>
/// <param name="RateFactor">Factor on the learning rate.</param>
/// <param name="OptimizerUpdates">Number of updates made by the optimizer.</param>
/// <param name="UsualLoss">Moving mean of the loss (<see cref="StepReport.Size"/>) over the steps that learned; null before the first.</param>
/// <param name="Device">Device of the training; null if no session wrote the file.</param>
/// <param name="Threads">Number of libtorch's threads; with another number sums are rounded in another order.</param>
/// <param name="Ranks">Processes that trained it together; null for one.</param>
public sealed record TrainingProgress(
    long Seed,
    long StepsDone,
    long ImagesSeen,
    bool CodebooksReady,
    double RateFactor,
    long OptimizerUpdates,
    double? UsualLoss = null,
    string? Device = null,
    int? Threads = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Ranks = null
);

/// <summary>
/// A checkpoint of any kind of model: one safetensors file with <c>model.*</c>, the optimizer's <c>optimizer.first.*</c> and
/// <c>optimizer.second.*</c>, and the moving average <c>average.*</c> of the model if there is one. Its metadata has <c>schema</c>,
/// <c>kind</c>, <c>spec</c>, <c>progress</c> and a checksum, which older files lack. A file without optimizer is for evaluation only.
/// </summary>
public class CheckpointFile : IDisposable
{
    /// <summary>The schema version that this program writes and reads.</summary>
    public const int Schema = 1;

    private const string ModelPrefix = "model.";
    private const string OptimizerPrefix = "optimizer.";
    private const string AveragePrefix = "average.";

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private readonly SafeTensorsFile file;

    /// <exception cref="WeightsException">Not a checkpoint that this program reads, or a damaged one; the message names the file and what
    /// was expected.</exception>
    public CheckpointFile(string path)
    {
        Path = path;
        file = SafeTensorsFile.Open(path);
        try
        {
            if (!file.IsIntact())
                throw new WeightsException($"{path}: damaged: its content is not what its checksum says");
            var schema = Required("schema");
            if (schema != Schema.ToString(CultureInfo.InvariantCulture))
                throw new WeightsException($"{path}: schema version {schema}; this program reads checkpoints of version {Schema}");
            Progress = ReadProgress();
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public string Path { get; }

    /// <summary>The kind of model. Older files, which have no kind, hold autoencoders.</summary>
    public string Kind => KindOf(file);

    public TrainingProgress Progress { get; }

    /// <summary>The kind of a file, without reading its tensors.</summary>
    /// <exception cref="WeightsException">Not a safetensors file; the message names the file and the reason.</exception>
    public static string KindOf(string path)
    {
        using var file = SafeTensorsFile.Open(path);
        return KindOf(file);
    }

    /// <summary>True if training can continue from it.</summary>
    public bool HasOptimizer => file.Entries.Any(entry => entry.Name.StartsWith(OptimizerPrefix, StringComparison.Ordinal));

    /// <summary>True if it has a moving average of the weights.</summary>
    public bool HasAverage => file.Entries.Any(entry => entry.Name.StartsWith(AveragePrefix, StringComparison.Ordinal));

    /// <summary>Names of the model's tensors.</summary>
    public IEnumerable<string> Names =>
        file
            .Entries.Where(entry => entry.Name.StartsWith(ModelPrefix, StringComparison.Ordinal))
            .Select(entry => entry.Name[ModelPrefix.Length..]);

    /// <summary>A tensor of the model, or of its moving average if there is one; the caller disposes it.</summary>
    public Tensor Read(string name) => file.Read(Judged(name));

    /// <summary>Copies weights and codebooks into the model; their moving average if there is one.</summary>
    public void Fill(nn.Module model) => Fill(model.state_dict().Select(entry => KeyValuePair.Create(Judged(entry.Key), entry.Value)));

    /// <summary>Copies the weights and codebooks after the last step into the model.</summary>
    public void FillTrained(nn.Module model) =>
        Fill(model.state_dict().Select(entry => KeyValuePair.Create(ModelPrefix + entry.Key, entry.Value)));

    /// <summary>Copies the moving average; returns false if the file has none.</summary>
    public bool Fill(WeightAverage average)
    {
        if (HasAverage)
            Fill(average.State.Select(entry => KeyValuePair.Create(AveragePrefix + entry.Key, entry.Value)));
        return HasAverage;
    }

    /// <summary>Copies the moments and the number of updates into the optimizer.</summary>
    public void Fill(AdamOptimizer optimizer)
    {
        Fill(optimizer.State.Select(entry => KeyValuePair.Create(OptimizerPrefix + entry.Key, entry.Value)));
        optimizer.Updates = Progress.OptimizerUpdates;
    }

    public void Dispose()
    {
        file.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Writes a model and, when given, its optimizer and its moving average; the file is written completely or not at
    /// all.</summary>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    protected static void Write(
        string path,
        string kind,
        string spec,
        nn.Module model,
        AdamOptimizer? optimizer,
        TrainingProgress progress,
        WeightAverage? average
    )
    {
        var tensors = model.state_dict().Select(entry => KeyValuePair.Create(ModelPrefix + entry.Key, entry.Value));
        var moments = optimizer?.State.Select(entry => KeyValuePair.Create(OptimizerPrefix + entry.Key, entry.Value)) ?? [];
        var averages = average?.State.Select(entry => KeyValuePair.Create(AveragePrefix + entry.Key, entry.Value)) ?? [];
        SafeTensorsFile.WriteChecked(
            path,
            tensors.Concat(moments).Concat(averages),
            new Dictionary<string, string>
            {
                ["schema"] = Schema.ToString(CultureInfo.InvariantCulture),
                ["kind"] = kind,
                ["spec"] = spec,
                ["progress"] = JsonSerializer.Serialize(progress, Json),
            }
        );
    }

    /// <summary>The spec in a file of this kind.</summary>
    /// <exception cref="WeightsException">The file has another kind.</exception>
    protected string SpecOf(string kind) =>
        Kind == kind ? Required("spec") : throw new WeightsException($"{Path}: expected a checkpoint of kind {kind}, found {Kind}");

    private string Judged(string name) => file.Contains(AveragePrefix + name) ? AveragePrefix + name : ModelPrefix + name;

    private void Fill(IEnumerable<KeyValuePair<string, Tensor>> targets)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        foreach (var (name, target) in targets)
        {
            if (!file.Contains(name))
                throw new WeightsException($"{Path}: expected a tensor {name}, found none");
            using var value = file.Read(name);
            if (!value.shape.SequenceEqual(target.shape))
                throw new WeightsException(
                    $"{Path}: {name}: expected shape ({string.Join(", ", target.shape)}), found ({string.Join(", ", value.shape)})"
                );
            target.copy_(value);
        }
    }

    private static string KindOf(SafeTensorsFile file) => file.Metadata.TryGetValue("kind", out var kind) ? kind : Checkpoint.KindName;

    private string Required(string key) =>
        file.Metadata.TryGetValue(key, out var value)
            ? value
            : throw new WeightsException($"{Path}: expected metadata '{key}': not a checkpoint of this program");

    private TrainingProgress ReadProgress()
    {
        try
        {
            return JsonSerializer.Deserialize<TrainingProgress>(Required("progress"), Json)
                ?? throw new WeightsException($"{Path}: progress: expected an object, got null");
        }
        catch (JsonException error)
        {
            throw new WeightsException($"{Path}: progress: {error.Message}", error);
        }
    }
}
