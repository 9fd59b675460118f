using System.Text.Json.Serialization;

namespace DQ.Core.Likelihoods.Context;

/// <summary>
/// Settings of the context head: a mixture of logistics for one pixel, from the pixels above and to the left of it, which a decoder already
/// knows (after Zhang et al., NeLLoC, with the predictor and local contrast of lossless codecs).
/// </summary>
public sealed record ContextSpec
{
    /// <summary>Channels C of the image: 3 or 1.</summary>
    public int Channels { get; init; } = 3;

    /// <summary>Number of rows above, and of columns on either side, that are read.</summary>
    public int Radius { get; init; } = 3;

    /// <summary>Width of the hidden layers.</summary>
    public int Width { get; init; } = 256;

    /// <summary>Hidden layers after the first: the first is plain, further ones are residual.</summary>
    public int Depth { get; init; } = 1;

    /// <summary>Mixture components K.</summary>
    public int Mixtures { get; init; } = 10;

    /// <summary>Minimum of the local contrast, for pixels scaled to [−1, 1].</summary>
    public double ContrastFloor { get; init; } = 0.02;

    /// <summary>Number of known pixels P: r rows of 2r + 1, and r to the left.</summary>
    [JsonIgnore]
    public int Neighbours => 2 * Radius * (Radius + 1);

    /// <summary>Number of inputs of the network: the neighbours, and four numbers per channel (prediction, two gradients, log
    /// contrast).</summary>
    [JsonIgnore]
    public int Inputs => (Neighbours + 4) * Channels;

    /// <summary>Number of outputs per component: weight, means, log scales, and each channel's share of those before it.</summary>
    [JsonIgnore]
    public int OutputsPerMixture => 1 + 2 * Channels + Channels * (Channels - 1) / 2;

    /// <summary>Number of outputs: weights first, then means, log scales and shares, each by channel, then component.</summary>
    [JsonIgnore]
    public int Outputs => OutputsPerMixture * Mixtures;

    public IEnumerable<SpecProblem> Problems()
    {
        if (Channels is not (1 or 3))
            yield return new("channels", $"expected 1 or 3, got {Channels}");
        if (Radius is < 2 or > 8)
            yield return new("radius", $"expected an integer from 2 to 8, got {Radius}");
        if (Width is < 1 or > 4096)
            yield return new("width", $"expected an integer from 1 to 4096, got {Width}");
        if (Depth is < 1 or > 16)
            yield return new("depth", $"expected an integer from 1 to 16, got {Depth}");
        if (Mixtures is < 1 or > 64)
            yield return new("mixtures", $"expected an integer from 1 to 64, got {Mixtures}");
        if (ContrastFloor is not (> 0 and <= 1))
            yield return new("contrast_floor", $"expected a number above 0 and at most 1, got {ContrastFloor}");
    }
}
