using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>Transforms vectors and codes before they are compared by Euclidean distance.</summary>
public abstract class CodeMetric
{
    /// <summary>The metric that a specification names.</summary>
    public static CodeMetric Create(QuantizerSpec spec) =>
        spec.Metric switch
        {
            EuclideanMetric.Name => new EuclideanMetric(),
            CosineMetric.Name => new CosineMetric(),
            var other => throw new ArgumentException($"expected {string.Join(" or ", Names)}, got '{other}'", nameof(spec)),
        };

    /// <summary>Names that a configuration may use.</summary>
    public static IReadOnlyList<string> Names { get; } = [EuclideanMetric.Name, CosineMetric.Name];

    /// <summary>The transformed vectors, which lie along axis <paramref name="axis"/>; differentiable. May return the argument
    /// itself.</summary>
    public abstract Tensor Project(Tensor vectors, long axis);
}

/// <summary>No transformation.</summary>
public sealed class EuclideanMetric : CodeMetric
{
    public const string Name = "euclidean";

    public override Tensor Project(Tensor vectors, long axis) => vectors;
}

/// <summary>
/// Scales vectors and codes to unit length: |u − c|² = 2 − 2 cos, so the nearest code is the one with the largest cosine similarity. The
/// lengths of vectors have no effect.
/// </summary>
/// <remarks>Source: Yu et al. 2022, <i>Vector-quantized Image Modeling with Improved VQGAN</i>, section 3.2, "ℓ2-normalized codes".</remarks>
public sealed class CosineMetric : CodeMetric
{
    public const string Name = "cosine";

    public override Tensor Project(Tensor vectors, long axis) => nn.functional.normalize(vectors, dim: axis);
}
