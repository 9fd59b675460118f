using static TorchSharp.torch;

namespace DQ.Core.Density;

/// <summary>
/// Two ways to cut a feature map (B, C, H, H) into H parts with a codebook each. Both give the same number of vectors of the same width D =
/// ⌈C / H⌉. The channels, padded with zeros to H·D, are H segments, and the map has H rows.
/// </summary>
/// <remarks>
/// Source: Fostiropoulos &amp; Boehm, section 5.1. Both give a map (B, H·D, H, H) for a depthwise quantizer of H codebooks.
/// Axis legend: B batch, C channels, H size, S = H segments, D width.
/// </remarks>
public sealed record FeatureSlicing
{
    private FeatureSlicing(string name, Func<Tensor, Tensor> arrange) => (Name, Arrange) = (name, arrange);

    /// <summary>Codebook i takes segment i at all positions.</summary>
    public static FeatureSlicing Channel { get; } = new("channel", segments => segments);

    /// <summary>Codebook i takes row i: its columns × segments.</summary>
    public static FeatureSlicing Pixel { get; } = new("pixel", segments => segments.permute(0, 3, 2, 1, 4)); // (B, H, D, S, W)

    public static IReadOnlyList<FeatureSlicing> All { get; } = [Pixel, Channel];

    /// <summary><c>channel</c> or <c>pixel</c>.</summary>
    public string Name { get; }

    private Func<Tensor, Tensor> Arrange { get; }

    /// <summary>Width D of a vector.</summary>
    public static int Width(long channels, long size) => (int)((channels + size - 1) / size);

    /// <summary>(B, C, H, H) to (B, H·D, H, H).</summary>
    public Tensor Cut(Tensor features)
    {
        if (features.dim() != 4 || features.shape[2] != features.shape[3])
            throw new ArgumentException($"expected features (B, C, H, H), got ({string.Join(", ", features.shape)})", nameof(features));
        using var scope = NewDisposeScope();
        var (batch, channels, size) = (features.shape[0], features.shape[1], features.shape[2]);
        var width = Width(channels, size);
        var padded = nn.functional.pad(features, [0, 0, 0, 0, 0, size * width - channels]); // (B, H·D, H, H)
        return Arrange(padded.view(batch, size, width, size, size))
            .reshape(batch, size * width, size, size)
            .contiguous()
            .MoveToOuterDisposeScope();
    }
}
