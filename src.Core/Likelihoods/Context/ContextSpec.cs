using System.Text.Json.Serialization;

namespace DQ.Core.Likelihoods.Context;

/// <summary>
/// The context head in numbers: a mixture of logistics for one pixel, from the pixels above and to the left of it that a decoder
/// already knows (after Zhang et al., NeLLoC, with the predictor and local contrast of lossless codecs).
/// </summary>
public sealed record ContextSpec
{
    /// <summary>Channels C of the image: 3 or 1.</summary>
    public int Channels { get; init; } = 3;

    /// <summary>Rows above and columns to either side that are looked at.</summary>
    public int Radius { get; init; } = 3;

    /// <summary>Width of the hidden layers.</summary>
    public int Width { get; init; } = 256;

    /// <summary>Hidden layers after the first: one plain, each further one residual.</summary>
    public int Depth { get; init; } = 1;

    /// <summary>Mixture components K.</summary>
    public int Mixtures { get; init; } = 10;

    /// <summary>Least local contrast, on pixels scaled to [−1, 1].</summary>
    public double ContrastFloor { get; init; } = 0.02;

    /// <summary>Known pixels P: r rows of 2r + 1, and r to the left.</summary>
    [JsonIgnore]
    public int Neighbours => 2 * Radius * (Radius + 1);

    /// <summary>Inputs of the net: the neighbours, and four numbers a channel (prediction, two gradients, log contrast).</summary>
    [JsonIgnore]
    public int Inputs => (Neighbours + 4) * Channels;

    /// <summary>Outputs of the net a component: weight, means, log scales, and each channel's share of those before it.</summary>
    [JsonIgnore]
    public int OutputsPerMixture => 1 + 2 * Channels + Channels * (Channels - 1) / 2;

    /// <summary>Outputs of the net: weights first, then means, log scales and shares, each by channel, then component.</summary>
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
