using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace DQ.Core.Quantization;

/// <summary>Which quantizer every level of an autoencoder has, and how its codes are learned.</summary>
public sealed record QuantizerSpec
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>A name of <see cref="Quantizers.Names"/>, such as <c>depthwise</c> or <c>vector</c>.</summary>
    public string Kind { get; init; } = "depthwise";

    /// <summary>Weight β of the latent (commitment) loss.</summary>
    public double Commitment { get; init; } = 0.25;

    /// <summary>Decay γ of the codes' exponential moving average, in [0, 1).</summary>
    public double Decay { get; init; } = 0.99;

    /// <summary>
    /// Warm-up w of the decay: at step t (from 0) it is min(γ, (1 + t)/(w + t)), so that early codes can follow an encoder that changes
    /// fast. 1 means no warm-up, as published.
    /// </summary>
    public double DecayWarmup { get; init; } = 10;

    /// <summary>Smoothing ε of the counts.</summary>
    public double Epsilon { get; init; } = 1e-5;

    /// <summary>How the first codes are chosen: <c>kmeans</c> over the first batches, or <c>normal</c>: codes from N(0, 1), as
    /// published.</summary>
    public string Initialization { get; init; } = "kmeans";

    /// <summary>Rule for replacing dead codes. <c>usage</c>: a code is dead below a share of the mean count; <c>published</c>: the released
    /// code's rule; <c>none</c>.</summary>
    public string Revival { get; init; } = "usage";

    /// <summary>Share τ of the mean count n/K below which a code is dead under the <c>usage</c> rule.</summary>
    public double RevivalThreshold { get; init; } = 0.02;

    /// <summary>How vectors and codes are compared: by <c>euclidean</c> distance, or by <c>cosine</c> similarity (both scaled to unit
    /// length).</summary>
    public string Metric { get; init; } = EuclideanMetric.Name;

    /// <summary>How the encoder's gradient is estimated: <c>straight_through</c>, or <c>rotation</c>: rotated and scaled as the vector
    /// was.</summary>
    public string Gradient { get; init; } = StraightThrough.Name;

    /// <summary>Number n of dimensions of the codes, which a linear map expands to the code width; null: the code width itself.</summary>
    public int? CodeProjection { get; init; }

    /// <summary>Optimizer steps over which gumbel's temperature falls from 1 to 1/16; null: the steps of the run.</summary>
    public long? TemperatureSteps { get; init; }

    /// <summary>Weight of gumbel's KL divergence to uniformly chosen codes, in nats per position.</summary>
    public double UniformWeight { get; init; } = 5e-4;

    /// <summary>Weight of lookup_free's entropy loss, in nats per position: it makes each choice certain and keeps all codes in
    /// use.</summary>
    public double EntropyWeight { get; init; } = 0.1;

    /// <summary>Number of values of each dimension of finite_scalar; their product is the number of codes of every level. Empty: levels
    /// from 3 to 8, as large and as few as possible.</summary>
    public IReadOnlyList<int> Levels { get; init; } = [];

    /// <summary>The problems of the specification, by key. A key that the kind does not read must have its default value.</summary>
    public IEnumerable<SpecProblem> Problems()
    {
        if (Quantizers.Find(Kind) is { } kind)
        {
            foreach (var problem in Unread(kind))
                yield return problem;
        }
        else
            yield return new("kind", $"expected one of {string.Join(", ", Quantizers.Names)}, got '{Kind}'");
        if (!(Commitment >= 0))
            yield return new("commitment", $"expected a number of at least 0, got {Commitment}");
        if (!(Decay is >= 0 and < 1))
            yield return new("decay", $"expected a number in [0, 1), got {Decay}");
        if (!(DecayWarmup >= 1) || !double.IsFinite(DecayWarmup))
            yield return new("decay_warmup", $"expected a number of at least 1, got {DecayWarmup}");
        if (!(Epsilon > 0))
            yield return new("epsilon", $"expected a number above 0, got {Epsilon}");
        if (Initialization is not ("kmeans" or "normal"))
            yield return new("initialization", $"expected kmeans or normal, got '{Initialization}'");
        if (Revival is not ("usage" or "published" or "none"))
            yield return new("revival", $"expected usage, published or none, got '{Revival}'");
        if (!(RevivalThreshold is >= 0 and < 1))
            yield return new("revival_threshold", $"expected a number in [0, 1), got {RevivalThreshold}");
        if (Kind == VectorGradientQuantizer.Kind && Revival == "published")
            yield return new("revival", $"expected usage or none for {Kind}: the published rule is one for moving averages");
        if (!CodeMetric.Names.Contains(Metric))
            yield return new("metric", $"expected {string.Join(" or ", CodeMetric.Names)}, got '{Metric}'");
        if (!GradientEstimator.Names.Contains(Gradient))
            yield return new("gradient", $"expected {string.Join(" or ", GradientEstimator.Names)}, got '{Gradient}'");
        if (CodeProjection < 1)
            yield return new("code_projection", $"expected an integer of at least 1 or null, got {CodeProjection}");
        if (TemperatureSteps < 1)
            yield return new("temperature_steps", $"expected an integer of at least 1 or null, got {TemperatureSteps}");
        if (!(UniformWeight >= 0) || !double.IsFinite(UniformWeight))
            yield return new("uniform_weight", $"expected a number of at least 0, got {UniformWeight}");
        if (!(EntropyWeight >= 0) || !double.IsFinite(EntropyWeight))
            yield return new("entropy_weight", $"expected a number of at least 0, got {EntropyWeight}");
        for (var dimension = 0; dimension < Levels.Count; dimension++)
            if (Levels[dimension] is < 3 or > 256)
                yield return new($"levels[{dimension}]", $"expected an integer from 3 to 256, got {Levels[dimension]}");
    }

    /// <summary>The reason why a codebook can't have K codes, or null.</summary>
    public string? CodesProblem(int codes) => Quantizers.Find(Kind)?.CodesProblem(this, codes);

    private IEnumerable<SpecProblem> Unread(QuantizerKind kind)
    {
        var defaults = JsonSerializer.SerializeToNode(new QuantizerSpec(), Json)!.AsObject();
        foreach (var (key, value) in JsonSerializer.SerializeToNode(this, Json)!.AsObject())
            if (key != "kind" && !kind.Keys.Contains(key) && !JsonNode.DeepEquals(value, defaults[key]))
                yield return new(key, $"{Kind} has no use for it: expected the default {Show(defaults[key])}, got {Show(value)}");
    }

    private static string Show(JsonNode? value) => value?.ToJsonString() ?? "null";
}
