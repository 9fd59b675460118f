using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>Where vectors and codes lie before they are compared, always by Euclidean distance.</summary>
public abstract class CodeMetric
{
    /// <summary>The metric a specification names.</summary>
    public static CodeMetric Create(QuantizerSpec spec) =>
        spec.Metric switch
        {
            EuclideanMetric.Name => new EuclideanMetric(),
            CosineMetric.Name => new CosineMetric(),
            var other => throw new ArgumentException($"expected {string.Join(" or ", Names)}, got '{other}'", nameof(spec)),
        };

    /// <summary>Names a configuration may use.</summary>
    public static IReadOnlyList<string> Names { get; } = [EuclideanMetric.Name, CosineMetric.Name];

    /// <summary>Vectors along axis <paramref name="axis"/> where they are compared; differentiable. May be the argument itself.</summary>
    public abstract Tensor Project(Tensor vectors, long axis);
}

/// <summary>Vectors stay where they are.</summary>
public sealed class EuclideanMetric : CodeMetric
{
    public const string Name = "euclidean";

    public override Tensor Project(Tensor vectors, long axis) => vectors;
}

/// <summary>
/// Vectors and codes lie on the unit sphere: |u − c|² = 2 − 2 cos, so the nearest code is the one of largest cosine similarity,
/// and lengths carry nothing.
/// </summary>
/// <remarks>Source: Yu et al. 2022, <i>Vector-quantized Image Modeling with Improved VQGAN</i>, section 3.2, "ℓ2-normalized codes".</remarks>
public sealed class CosineMetric : CodeMetric
{
    public const string Name = "cosine";

    public override Tensor Project(Tensor vectors, long axis) => nn.functional.normalize(vectors, dim: axis);
}
