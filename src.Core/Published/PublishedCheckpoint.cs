using System.Globalization;
using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using static TorchSharp.torch;

namespace DQ.Core.Published;

/// <summary>Adam's state under our names; the caller disposes the tensors.</summary>
/// <param name="Updates">Number of updates made.</param>
/// <param name="First">First moments by parameter.</param>
/// <param name="Second">Second moments by parameter.</param>
public sealed record PublishedMoments(long Updates, IReadOnlyDictionary<string, Tensor> First, IReadOnlyDictionary<string, Tensor> Second);

/// <summary>
/// A checkpoint of the published implementation: a dictionary with <c>model</c>, <c>model_config</c>, <c>optimizer</c> and
/// <c>stats</c>, or a bare state dict.
/// </summary>
public sealed class PublishedCheckpoint : IDisposable
{
    private readonly PyTorchArchive archive;
    private readonly string path;
    private readonly Dictionary<string, PickledTensor> model;

    private PublishedCheckpoint(PyTorchArchive archive, string path, string? key)
    {
        (this.archive, this.path) = (archive, path);
        var whole = archive.Root is PickledDictionary root && root.TryGetValue("model", out _);
        var stored = archive.StateDictionary(key ?? (whole ? "model" : null)).ToDictionary();
        var names = new WrappedNames(stored.Keys);
        model = names.Stored.ToDictionary(entry => entry.Key, entry => stored[entry.Value]);
        Notes = names.Notes;
        // as that code stores it, or as converted checkpoints have it
        var described = Find("model_config");
        if (((described as PickledObject)?.Attributes ?? described as PickledDictionary) is not { } config)
            return;
        var settings = Settings(config);
        Spec = PublishedModel.Spec(settings, $"{path}: model_config");
        PublishedModel.CheckSize(
            Spec,
            model.ToDictionary(entry => entry.Key, entry => entry.Value.Sizes.ToArray()),
            $"{path}: model_config"
        );
        Notes =
        [
            .. names.Notes,
            .. settings
                .Keys.Where(key => !PublishedModel.Defaults.ContainsKey(key))
                .Select(key => $"model_config.{key}: no setting of the published model, ignored"),
            .. PublishedModel.Notes(settings).Select(note => $"model_config.{note}"),
        ];
    }

    /// <summary>Spec of the model; null if the file has none.</summary>
    public AutoencoderSpec? Spec { get; }

    /// <summary>Settings of the file's configuration that have no meaning or another meaning here, one line each.</summary>
    public IReadOnlyList<string> Notes { get; } = [];

    /// <summary>Number of training steps made; 0 if the file has no number.</summary>
    public long Iterations =>
        Find("stats", "iters") is PickledInteger { Value: var steps } && steps >= 0 && steps <= long.MaxValue ? (long)steps : 0;

    /// <summary>Mean total loss over the last training steps; null if the file does not have it.</summary>
    public double? TrainingLoss => Find("stats", "train_loss") is PickledNumber { Value: var loss } ? loss : null;

    /// <exception cref="WeightsException">The file cannot be read, holds no weights, or its configuration is not valid.</exception>
    /// <param name="path">The file.</param>
    /// <param name="key">Key of the set of tensors to read, if there are several.</param>
    public static PublishedCheckpoint Open(string path, string? key = null)
    {
        var archive = PyTorchArchive.Open(path);
        try
        {
            return new(archive, path, key);
        }
        catch
        {
            archive.Dispose();
            throw;
        }
    }

    /// <summary>The state dict as stored; the caller disposes the tensors.</summary>
    /// <remarks>Without the prefixes that wrappers put before every name.</remarks>
    public IReadOnlyDictionary<string, Tensor> ReadStored() => model.ToDictionary(entry => entry.Key, entry => entry.Value.Read());

    /// <summary>The model's state dict under our names, float32; the caller disposes the tensors.</summary>
    /// <exception cref="WeightsException">It belongs to another model; the message names all differences.</exception>
    public IReadOnlyDictionary<string, Tensor> ReadWeights(ReferenceNames names)
    {
        using var scope = NewDisposeScope();
        var read = names.FromReference(ReadStored(), path);
        foreach (var tensor in read.Values)
            tensor.MoveToOuterDisposeScope();
        return read;
    }

    /// <summary>Adam's state; null if the file has none, or if the optimizer made no step.</summary>
    /// <exception cref="WeightsException">It belongs to another model.</exception>
    public PublishedMoments? ReadMoments(ReferenceNames names)
    {
        if (Find("optimizer", "state") is not PickledDictionary { Count: > 0 } state)
            return null;
        // the optimizer numbers parameters in the order of the modules
        var trained = names.Entries.Where(entry => entry.Trained).Select(entry => entry.Name).ToList();
        using var scope = NewDisposeScope();
        var (first, second) = (new Dictionary<string, Tensor>(), new Dictionary<string, Tensor>());
        var updates = 0L;
        foreach (var (key, value) in state.Keys.Zip(state.Values))
        {
            if (
                key is not PickledInteger { Value: var index }
                || index < 0
                || index >= trained.Count
                || value is not PickledDictionary moments
                || !moments.TryGetValue("exp_avg", out var mean)
                || !moments.TryGetValue("exp_avg_sq", out var square)
                || (mean, square) is not (PickledTensor meanTensor, PickledTensor squareTensor)
            )
                throw new WeightsException($"{path}: optimizer: expected Adam's state of {trained.Count} parameters, numbered from 0");
            first[trained[(int)index]] = meanTensor.Read();
            second[trained[(int)index]] = squareTensor.Read();
            updates = Math.Max(updates, Steps(moments));
        }
        var result = new PublishedMoments(
            updates,
            names.FromReference(first, $"{path}: optimizer", trainedOnly: true),
            names.FromReference(second, $"{path}: optimizer", trainedOnly: true)
        );
        foreach (var tensor in result.First.Values.Concat(result.Second.Values))
            tensor.MoveToOuterDisposeScope();
        return result;
    }

    /// A number in older versions of PyTorch, a tensor of one element in later ones.
    private long Steps(PickledDictionary moments)
    {
        moments.TryGetValue("step", out var step);
        if (step is PickledInteger { Value: var number } && number >= 0 && number <= long.MaxValue)
            return (long)number;
        if (step is not PickledTensor { Sizes: [] } scalar)
            throw new WeightsException($"{path}: optimizer: expected a number of steps");
        using var tensor = scalar.Read();
        using var whole = tensor.to_type(ScalarType.Int64);
        return whole.item<long>();
    }

    private PickledValue? Find(params string[] keys)
    {
        PickledValue? value = archive.Root;
        foreach (var key in keys)
            value = value is PickledDictionary dictionary && dictionary.TryGetValue(key, out var inner) ? inner : null;
        return value;
    }

    private static Dictionary<string, string> Settings(PickledDictionary attributes)
    {
        var settings = new Dictionary<string, string>();
        foreach (var (key, value) in attributes.Keys.Zip(attributes.Values))
            if (key is PickledText { Value: var name } && Text(value) is { } text)
                settings[name] = text;
        return settings;
    }

    private static string? Text(PickledValue value) =>
        value switch
        {
            PickledText text => text.Value,
            PickledInteger integer => integer.Value.ToString(CultureInfo.InvariantCulture),
            PickledNumber number => number.Value.ToString(CultureInfo.InvariantCulture),
            PickledBoolean boolean => boolean.Value ? "True" : "False",
            PickledSequence list => $"[{string.Join(",", list.Items.Select(item => Text(item) ?? "?"))}]",
            _ => null,
        };

    public void Dispose() => archive.Dispose();
}
