namespace DQ.Core.Quantization;

/// <summary>Which quantizer sits at every level of an autoencoder, and how its codes are learned.</summary>
public sealed record QuantizerSpec
{
    /// <summary>A name of <see cref="Quantizers.Names"/>, such as <c>depthwise</c> or <c>vector</c>.</summary>
    public string Kind { get; init; } = "depthwise";

    /// <summary>Weight β of the latent (commitment) loss.</summary>
    public double Commitment { get; init; } = 0.25;

    /// <summary>Decay γ of the codes' exponential moving average, in [0, 1).</summary>
    public double Decay { get; init; } = 0.99;

    /// <summary>
    /// Warm-up w of the decay: at step t (from 0) it is min(γ, (1 + t)/(w + t)), so that early codes keep up with an encoder that
    /// moves fast; 1 is none, as published.
    /// </summary>
    public double DecayWarmup { get; init; } = 10;

    /// <summary>Smoothing ε of the counts.</summary>
    public double Epsilon { get; init; } = 1e-5;

    /// <summary><c>kmeans</c> over the first batches, or <c>normal</c>: codes from N(0, 1), as published.</summary>
    public string Initialization { get; init; } = "kmeans";

    /// <summary><c>usage</c>: dead below a share of the mean count; <c>published</c>: the released code's rule; <c>none</c>.</summary>
    public string Revival { get; init; } = "usage";

    /// <summary>Share τ of the mean count n/K below which a code is dead under the <c>usage</c> rule.</summary>
    public double RevivalThreshold { get; init; } = 0.02;

    public IEnumerable<SpecProblem> Problems()
    {
        if (!Quantizers.Names.Contains(Kind))
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
    }
}
