using System.Globalization;
using DQ.Core.Autoencoders;
using DQ.Core.Formats;
using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Published;

/// <summary>A tensor of the published implementation's state dict.</summary>
/// <param name="Name">Name in the published state dict.</param>
/// <param name="Shape">Shape in the published state dict.</param>
/// <param name="Trained">True for a parameter, which has a gradient; false for a tensor of a codebook.</param>
public sealed record ReferenceEntry(string Name, long[] Shape, bool Trained);

/// <summary>
/// A model's state dict under the names and shapes of the published implementation, and back. Convolutions are the same;
/// projections and codebooks differ:
/// <code>
/// here                                         there, depthwise                             there, vector
/// projections.{level}.weight (M·D, C, 1, 1)    quantize_convs.{level}.{m}.weight (D, C, 1, 1)   quantize_convs.{level}.weight
/// projections.{level}.bias   (M·D)             quantize_convs.{level}.{m}.bias (D)              quantize_convs.{level}.bias
/// quantizers.{level}.codes   (M, K, D)         quantizers.{level}.{m}.embed (D, K)              the same
/// quantizers.{level}.counts  (M, K)            quantizers.{level}.{m}.cluster_size (K)          the same
/// quantizers.{level}.sums    (M, K, D)         quantizers.{level}.{m}.embed_avg (D, K)          the same
/// </code>
/// </summary>
/// <remarks>Source: the released code, https://arxiv.org/abs/2203.08080. Axis legend: M codebooks, K codes, D code width.</remarks>
public sealed class ReferenceNames
{
    private const int NamesShown = 5;

    /// <param name="Name">Name here.</param>
    /// <param name="Shape">Shape here.</param>
    /// <param name="Parts">The published tensors: one, or one per codebook.</param>
    /// <param name="Transposed">(D, K) there for (K, D) here.</param>
    /// <param name="Joined">True when the parts are joined along their first axis, false when stacked along a new one.</param>
    private sealed record Mapping(string Name, long[] Shape, IReadOnlyList<ReferenceEntry> Parts, bool Transposed, bool Joined);

    private readonly IReadOnlyList<Mapping> mappings;

    /// <param name="model">Model with the names and shapes; its values are not used.</param>
    /// <exception cref="ArgumentException">The published implementation has no such model, see <see cref="WhyUnpublished"/>.</exception>
    public ReferenceNames(HierarchicalAutoencoder model)
    {
        var spec = model.Spec;
        if (WhyUnpublished(spec) is { } reason)
            throw new ArgumentException(reason, nameof(model));
        var trained = model.named_parameters().Select(parameter => parameter.name).ToHashSet(StringComparer.Ordinal);
        mappings = [.. model.state_dict().Select(entry => Map(entry.Key, entry.Value.shape, spec, trained.Contains(entry.Key)))];
        var depthwise = spec.Quantizer.Kind == DepthwiseQuantizer.Kind;
        Entries = [.. mappings.SelectMany(mapping => mapping.Parts).OrderBy(part => ModulePosition(part.Name, depthwise))];
    }

    /// <summary>The part of a model that the published implementation does not have and has no names for; null if it has all
    /// parts.</summary>
    public static string? WhyUnpublished(AutoencoderSpec spec) =>
        spec.Quantizer.Kind is not (DepthwiseQuantizer.Kind or VectorQuantizer.Kind)
            ? $"the published implementation has depthwise and vector quantizers only, this model has '{spec.Quantizer.Kind}'"
        : spec.Quantizer.Metric != EuclideanMetric.Name || spec.Quantizer.CodeProjection is not null
            ? "the published implementation compares codes by Euclidean distance, at their full width"
        : spec.Likelihood.HasContext ? "the published implementation has no context head"
        : spec.Wiring != "concatenation"
            ? $"the published implementation has the wiring 'concatenation' only, this model has '{spec.Wiring}'"
        : null;

    /// <summary>
    /// The published state dict, in the order of its modules; its optimizer numbers the trained tensors from 0.
    /// </summary>
    public IReadOnlyList<ReferenceEntry> Entries { get; }

    /// <summary>
    /// Converts tensors under the published names to new tensors under our names, float32. The caller disposes them.
    /// </summary>
    /// <param name="reference">A state dict, or one tensor for every trained parameter (gradients, moments).</param>
    /// <param name="trainedOnly">True for one tensor per trained parameter.</param>
    /// <param name="source">File of the tensors, for messages.</param>
    /// <exception cref="WeightsException">Names are missing or unknown, or shapes differ: the message lists all of them.</exception>
    public IReadOnlyDictionary<string, Tensor> FromReference(
        IReadOnlyDictionary<string, Tensor> reference,
        string source,
        bool trainedOnly = false
    )
    {
        var expected = Entries.Where(entry => entry.Trained || !trainedOnly).ToDictionary(entry => entry.Name, entry => entry.Shape);
        Check(expected, reference, source);
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return mappings
            .Where(mapping => mapping.Parts[0].Trained || !trainedOnly)
            .ToDictionary(mapping => mapping.Name, mapping => Join(mapping, reference).MoveToOuterDisposeScope());
    }

    /// <summary>Converts tensors under our names to new tensors under the published names, in the order of <see cref="Entries"/>. The
    /// caller disposes them.</summary>
    /// <param name="ours">A state dict.</param>
    /// <exception cref="ArgumentException">Not the state dict of such a model; the message lists all differences.</exception>
    public IReadOnlyList<KeyValuePair<string, Tensor>> ToReference(IReadOnlyDictionary<string, Tensor> ours)
    {
        if (Problems(mappings.ToDictionary(mapping => mapping.Name, mapping => mapping.Shape), ours) is { Count: > 0 } problems)
            throw new ArgumentException(string.Join("; ", problems), nameof(ours));
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var parts = mappings.SelectMany(mapping => Split(mapping, ours[mapping.Name])).ToDictionary();
        return [.. Entries.Select(entry => KeyValuePair.Create(entry.Name, parts[entry.Name].MoveToOuterDisposeScope()))];
    }

    private static Tensor Join(Mapping mapping, IReadOnlyDictionary<string, Tensor> reference)
    {
        var parts = mapping.Parts.Select(part => reference[part.Name].detach().to_type(ScalarType.Float32));
        var turned = parts.Select(part => mapping.Transposed ? part.t() : part).ToList();
        // (D, …) each to (M·D, …), or (K, D) and (K) to (M, K, D) and (M, K)
        return mapping.Joined ? cat(turned, 0) : stack(turned, 0);
    }

    private static IEnumerable<KeyValuePair<string, Tensor>> Split(Mapping mapping, Tensor tensor)
    {
        var whole = tensor.detach();
        var parts = mapping.Joined ? whole.chunk(mapping.Parts.Count, 0) : whole.unbind(0);
        return mapping.Parts.Select(
            (part, index) => KeyValuePair.Create(part.Name, (mapping.Transposed ? parts[index].t() : parts[index]).clone().contiguous())
        );
    }

    private static Mapping Map(string name, long[] shape, AutoencoderSpec spec, bool trained)
    {
        // projections.{level}.weight, quantizers.{level}.codes
        var words = name.Split('.');
        var (isProjection, isCodebook) = (words[0] == "projections", words[0] == "quantizers");
        if (isProjection && spec.Quantizer.Kind == DepthwiseQuantizer.Kind)
            return Parts(book => $"quantize_convs.{words[1]}.{book}.{words[2]}", [shape[0] / spec.Codebooks, .. shape[1..]], false, true);
        if (isCodebook)
            return words[2] switch
            {
                "codes" => Parts(book => $"quantizers.{words[1]}.{book}.embed", [shape[2], shape[1]], true, false),
                "sums" => Parts(book => $"quantizers.{words[1]}.{book}.embed_avg", [shape[2], shape[1]], true, false),
                _ => Parts(book => $"quantizers.{words[1]}.{book}.cluster_size", [shape[1]], false, false),
            };
        var theirs = isProjection ? $"quantize_convs.{words[1]}.{words[2]}" : name;
        return new(name, shape, [new(theirs, shape, trained)], false, true);

        Mapping Parts(Func<int, string> rename, long[] part, bool transposed, bool joined) =>
            new(
                name,
                shape,
                [.. Enumerable.Range(0, spec.Codebooks).Select(book => new ReferenceEntry(rename(book), part, trained))],
                transposed,
                joined
            );
    }

    /// Order of a tensor's module there. The depthwise model replaces its projections last, so they are at the end.
    private static (int Part, int Level, int Book) ModulePosition(string name, bool depthwise)
    {
        var words = name.Split('.');
        return words[0] switch
        {
            "enc_blocks" => (0, 0, 0),
            "quantize_convs" when !depthwise => (1, 0, 0),
            "quantizers" => (2, Number(words[1]), Number(words[2])),
            "upsample" => (3, 0, 0),
            "dec_blocks" => (4, 0, 0),
            "decoder" => (5, 0, 0),
            _ => (6, Number(words[1]), Number(words[2])),
        };

        static int Number(string word) => int.Parse(word, CultureInfo.InvariantCulture);
    }

    /// <summary>Checks that names and shapes are exactly the expected ones.</summary>
    /// <exception cref="WeightsException">They differ; the message lists all differences.</exception>
    internal static void Check(IReadOnlyDictionary<string, long[]> expected, IReadOnlyDictionary<string, Tensor> tensors, string source)
    {
        if (Problems(expected, tensors) is { Count: > 0 } problems)
            throw new WeightsException($"{source}: not the weights of this model: {string.Join("; ", problems)}");
    }

    private static List<string> Problems(IReadOnlyDictionary<string, long[]> expected, IReadOnlyDictionary<string, Tensor> tensors)
    {
        var missing = expected.Keys.Where(name => !tensors.ContainsKey(name)).ToList();
        var unknown = tensors.Keys.Where(name => !expected.ContainsKey(name)).Select(WeightsException.Quote).ToList();
        var others = expected
            .Where(entry => tensors.TryGetValue(entry.Key, out var tensor) && !tensor.shape.SequenceEqual(entry.Value))
            .Select(entry =>
                $"{entry.Key} expected ({string.Join(", ", entry.Value)}), found ({string.Join(", ", tensors[entry.Key].shape)})"
            )
            .ToList();
        return [.. Problem("missing", missing), .. Problem("unknown", unknown), .. Problem("of another shape", others)];
    }

    private static IEnumerable<string> Problem(string what, List<string> names) =>
        names.Count == 0
            ? []
            : [$"{names.Count} {what}: {string.Join(", ", names.Take(NamesShown))}{(names.Count > NamesShown ? ", …" : "")}"];
}
