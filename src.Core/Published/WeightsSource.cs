using System.Globalization;
using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using DQ.Core.Training;
using static TorchSharp.torch;

namespace DQ.Core.Published;

/// <summary>
/// A model's weights from elsewhere: a checkpoint of the published implementation, a bare state dict (<c>.pt</c>, <c>.pth</c> or
/// safetensors, under its names or ours), or a safetensors file that this program exported or saved. Told apart by content.
/// </summary>
public sealed class WeightsSource : IDisposable
{
    private const string ModelPrefix = "model.";

    private readonly string path;
    private readonly PublishedCheckpoint? archive;
    private readonly SafeTensorsFile? file;

    private WeightsSource(string path, PublishedCheckpoint archive)
    {
        (this.path, this.archive) = (path, archive);
        (Spec, Notes, Steps) = (archive.Spec, archive.Notes, archive.Iterations);
    }

    private WeightsSource(string path, SafeTensorsFile file)
    {
        (this.path, this.file) = (path, file);
        Spec = file.Metadata.TryGetValue(WeightsExport.SpecKey, out var spec)
            ? SpecJson.Read(spec, $"{path}: {WeightsExport.SpecKey}")
            : null;
        Steps = file.Metadata.TryGetValue(WeightsExport.StepsKey, out var steps)
            ? long.TryParse(steps, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                ? number
                : throw new WeightsException(
                    $"{path}: {WeightsExport.StepsKey}: expected a whole number, got {WeightsException.Quote(steps)}"
                )
            : 0;
    }

    /// <summary>The model; null when the file does not say.</summary>
    public AutoencoderSpec? Spec { get; }

    /// <summary>What the file says of its model and means nothing or something else here, one line each.</summary>
    public IReadOnlyList<string> Notes { get; } = [];

    /// <summary>Training steps made; 0 when the file does not say.</summary>
    public long Steps { get; }

    /// <exception cref="WeightsException">The file cannot be read, or is of neither kind; names it.</exception>
    public static WeightsSource Open(string path)
    {
        if (!TensorFile.IsSafeTensors(path))
            return new(path, PublishedCheckpoint.Open(path));
        var file = SafeTensorsFile.Open(path);
        try
        {
            return new(path, file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Copies weights and codebooks in.</summary>
    /// <exception cref="WeightsException">They are those of another model; all differences are named.</exception>
    public void Fill(HierarchicalAutoencoder model)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var stored = ReadStored();
        var state = model.state_dict();
        IReadOnlyDictionary<string, Tensor> weights = stored;
        if (stored.Keys.Any(name => name.StartsWith("quantize_convs.", StringComparison.Ordinal)))
            weights = Names(model).FromReference(stored, path);
        else
            ReferenceNames.Check(state.ToDictionary(entry => entry.Key, entry => entry.Value.shape), stored, path);
        foreach (var (name, target) in state)
            target.copy_(weights[name]);
    }

    /// <summary>Copies the optimizer's moments and number of updates in; false when the file has none.</summary>
    /// <param name="optimizer">Of the model's parameters.</param>
    /// <param name="model">A model of the published implementation.</param>
    /// <exception cref="WeightsException">They are those of another model.</exception>
    public bool Fill(AdamOptimizer optimizer, HierarchicalAutoencoder model)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        if (
            archive is null
            || ReferenceNames.WhyUnpublished(model.Spec) is not null
            || archive.ReadMoments(Names(model)) is not { } moments
        )
            return false;
        foreach (var (name, target) in optimizer.State)
        {
            // first.{parameter} or second.{parameter}
            var (order, parameter) = (name[..name.IndexOf('.')], name[(name.IndexOf('.') + 1)..]);
            target.copy_((order == "first" ? moments.First : moments.Second)[parameter]);
        }
        optimizer.Updates = moments.Updates;
        return true;
    }

    public void Dispose()
    {
        archive?.Dispose();
        file?.Dispose();
    }

    private ReferenceNames Names(HierarchicalAutoencoder model) =>
        ReferenceNames.WhyUnpublished(model.Spec) is { } reason
            ? throw new WeightsException($"{path}: holds weights of the published implementation: {reason}")
            : new(model);

    private IReadOnlyDictionary<string, Tensor> ReadStored()
    {
        if (archive is not null)
            return archive.ReadStored();
        var names = file!.Entries.Select(entry => entry.Name).ToList();
        // a checkpoint of this program also holds the optimizer's tensors
        var own = names.Where(name => name.StartsWith(ModelPrefix, StringComparison.Ordinal)).ToList();
        return own.Count > 0
            ? own.ToDictionary(name => name[ModelPrefix.Length..], file.Read)
            : names.ToDictionary(name => name, file.Read);
    }
}
