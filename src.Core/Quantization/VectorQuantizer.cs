namespace DQ.Core.Quantization;

/// <summary>
/// The paper's baseline: all M codebooks quantize the same map, and each chooses its own code.
/// (B, D, H, W) to (B, M·D, H, W); the code rate is that of depthwise quantization.
/// </summary>
/// <remarks>Source: van den Oord et al. 2017, with codes by moving average; M codebooks as in Fostiropoulos &amp; Boehm's baseline.</remarks>
public sealed class VectorQuantizer(QuantizerSpec spec, int codebooks, int codeCount, int width)
    : MovingAverageQuantizer(nameof(VectorQuantizer), spec, codebooks, codeCount, width)
{
    /// <summary>The name of this kind in configurations.</summary>
    public const string Kind = "vector";

    protected override int Slices => 1;
}
