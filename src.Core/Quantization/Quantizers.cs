namespace DQ.Core.Quantization;

/// <summary>The quantizers by name.</summary>
public static class Quantizers
{
    /// <summary>Names a configuration may use.</summary>
    public static IReadOnlyList<string> Names { get; } = [DepthwiseQuantizer.Kind, VectorQuantizer.Kind];
}
