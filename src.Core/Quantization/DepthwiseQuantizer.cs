namespace DQ.Core.Quantization;

/// <summary>
/// Depthwise quantization: the input map's channels are cut into M slices, and each slice has its own codebook.
/// (B, M·D, H, W) to (B, M·D, H, W).
/// </summary>
/// <remarks>Source: Fostiropoulos &amp; Boehm, section 4. With one codebook it is vector quantization.</remarks>
public sealed class DepthwiseQuantizer(QuantizerSpec spec, int codebooks, int codeCount, int width)
    : MovingAverageQuantizer(nameof(DepthwiseQuantizer), spec, codebooks, codeCount, width)
{
    /// <summary>The name of this kind in configurations.</summary>
    public const string Kind = "depthwise";

    protected override int Slices => Codebooks;
}
