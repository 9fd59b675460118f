using System.Globalization;
using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using DQ.Core.Training;
using static TorchSharp.torch;

namespace DQ.Core.Published;

/// <summary>
/// A model's weights from a file: a checkpoint of the published implementation, a bare state dict (<c>.pt</c>, <c>.pth</c> or
/// safetensors, under its names or ours), or a safetensors file that this program exported or saved. The kind is recognized by content.
/// </summary>
public sealed class WeightsSource : IDisposable
{
    private const string OptimizerPrefix = "optimizer.";
    private const string AverageKey = "average"; // prefix of a checkpoint's moving average, with which the model is evaluated

    private readonly string path;
    private readonly PublishedCheckpoint? archive;
    private readonly SafeTensorsFile? file;
    private readonly IReadOnlyDictionary<string, string> names = new Dictionary<string, string>(); // stored names by those without prefixes

    private WeightsSource(string path, PublishedCheckpoint archive)
    {
        (this.path, this.archive) = (path, archive);
        (Spec, Notes, Steps) = (archive.Spec, archive.Notes, archive.Iterations);
    }

    private WeightsSource(string path, SafeTensorsFile file, string? key)
    {
        (this.path, this.file) = (path, file);
        var isOurs = file.Metadata.ContainsKey("progress"); // its prefix is one of ours
        if (isOurs && file.Entries.Any(entry => entry.Name.StartsWith($"{AverageKey}.", StringComparison.Ordinal)))
            key ??= AverageKey;
        var wrapped = new WrappedNames(Chosen(key));
        names = wrapped.Stored.ToDictionary(entry => entry.Key, entry => key is null ? entry.Value : $"{key}.{entry.Value}");
        Notes = isOurs ? [] : wrapped.Notes;
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

    /// <summary>Spec of the model; null if the file has none.</summary>
    public AutoencoderSpec? Spec { get; }

    /// <summary>Settings of the file's model that have no meaning or another meaning here, one line each.</summary>
    public IReadOnlyList<string> Notes { get; } = [];

    /// <summary>Key of the requested set of weights; null if there was no choice.</summary>
    public string? Key { get; private init; }

    /// <summary>Number of training steps made; 0 if the file has no number.</summary>
    public long Steps { get; }

    /// <exception cref="WeightsException">The file cannot be read, or has another kind; the message names it.</exception>
    /// <param name="path">The file.</param>
    /// <param name="key">Key of the set of tensors to read, if there are several; in safetensors the prefix of its names.</param>
    public static WeightsSource Open(string path, string? key = null)
    {
        if (!TensorFile.IsSafeTensors(path))
            return new(path, PublishedCheckpoint.Open(path, key)) { Key = key };
        var file = SafeTensorsFile.Open(path);
        try
        {
            return new(path, file, key) { Key = key };
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Describes the weights that are not finite; null if all are finite.</summary>
    public string? NonFinite()
    {
        using var scope = NewDisposeScope();
        return FiniteValues.Problem(ReadStored());
    }

    /// <summary>Copies weights and codebooks into the model.</summary>
    /// <exception cref="WeightsException">They belong to another model; the message names all differences.</exception>
    public void Fill(HierarchicalAutoencoder model)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var stored = ReadStored();
        var state = model.state_dict();
        IReadOnlyDictionary<string, Tensor> weights = stored;
        if (IsPublished(stored))
            weights = Names(model).FromReference(stored, path);
        else
            Check(state.ToDictionary(entry => entry.Key, entry => entry.Value.shape), stored);
        foreach (var (name, target) in state)
            target.copy_(weights[name]);
    }

    /// Checks names and shapes. If they differ and the names have a few prefixes, the file may hold several sets of weights.
    private void Check(Dictionary<string, long[]> expected, IReadOnlyDictionary<string, Tensor> stored)
    {
        try
        {
            ReferenceNames.Check(expected, stored, path);
        }
        catch (WeightsException problem) when (Key is null && file is not null)
        {
            var beginnings = stored.Keys.Select(name => name.Split('.')[0]).Distinct().Order().ToList();
            var known = expected.Keys.Select(name => name.Split('.')[0]).ToHashSet();
            if (beginnings.Count is < 1 or > 8 || beginnings.All(known.Contains))
                throw;
            var listed = string.Join(", ", beginnings.Select(name => $"'{name}'"));
            throw new WeightsException(
                $"{problem.Message}; its names begin with {listed}: where that is a set of weights, --key chooses it"
            );
        }
    }

    /// <summary>Tensors under our names, also those that do not fit; in the caller's dispose scope.</summary>
    /// <param name="model">The model that defines our names.</param>
    /// <exception cref="WeightsException">They have the published names and belong to another model.</exception>
    public IReadOnlyDictionary<string, Tensor> ReadFor(HierarchicalAutoencoder model)
    {
        var stored = ReadStored();
        return IsPublished(stored) ? Names(model).FromReference(stored, path) : stored;
    }

    private static bool IsPublished(IReadOnlyDictionary<string, Tensor> stored) =>
        stored.Keys.Any(name => name.StartsWith("quantize_convs.", StringComparison.Ordinal));

    /// <summary>Copies the optimizer's moments and number of updates; returns false if the file has none.</summary>
    /// <param name="optimizer">The optimizer of the model's parameters.</param>
    /// <param name="model">A model of the published implementation.</param>
    /// <exception cref="WeightsException">They belong to another model.</exception>
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
        return names.ToDictionary(entry => entry.Key, entry => file!.Read(entry.Value));
    }

    /// The tensors of the requested set, without its key. From a checkpoint of this program, which also has the optimizer's tensors, only
    /// the model's.
    private List<string> Chosen(string? key)
    {
        var all = file!
            .Entries.Select(entry => entry.Name)
            .Where(name => key is not null || !name.StartsWith(OptimizerPrefix, StringComparison.Ordinal));
        if (key is null)
            return [.. all];
        var chosen = all.Where(name => name.StartsWith($"{key}.", StringComparison.Ordinal))
            .Select(name => name[(key.Length + 1)..])
            .ToList();
        return chosen.Count > 0
            ? chosen
            : throw new WeightsException(
                $"{path}: expected tensors whose names begin with '{key}.', found {string.Join(", ", file.Entries.Select(entry => entry.Name.Split('.')[0]).Distinct().Take(5).Select(WeightsException.Quote))}"
            );
    }
}
