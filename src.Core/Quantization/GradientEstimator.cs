using static DQ.Core.Native.HeldOperations;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>Estimates the gradient for the input of a quantization. The true gradient is 0 almost everywhere, since the nearest code is
/// piecewise constant.</summary>
public abstract class GradientEstimator
{
    /// <summary>The estimator that a specification names.</summary>
    public static GradientEstimator Create(QuantizerSpec spec) =>
        spec.Gradient switch
        {
            StraightThrough.Name => new StraightThrough(),
            RotationTrick.Name => new RotationTrick(),
            var other => throw new ArgumentException($"expected {string.Join(" or ", Names)}, got '{other}'", nameof(spec)),
        };

    /// <summary>Names that a configuration may use.</summary>
    public static IReadOnlyList<string> Names { get; } = [StraightThrough.Name, RotationTrick.Name];

    /// <summary>The quantized values, with a gradient for the input. The values are exactly the quantized ones if no gradient is
    /// needed.</summary>
    /// <param name="input">(B, S, D, …), S = M or 1: one vector may be quantized by all codebooks.</param>
    /// <param name="quantized">(B, M, D, …); it is detached.</param>
    public Tensor Apply(Tensor input, Tensor quantized) => input.requires_grad ? Estimate(input, quantized.detach()) : quantized;

    protected abstract Tensor Estimate(Tensor input, Tensor quantized);
}

/// <summary>The input receives the gradient of the quantized vector unchanged: u + sg(q − u).</summary>
/// <remarks>Source: Bengio et al. 2013; van den Oord et al. 2017, section 3.2.</remarks>
public sealed class StraightThrough : GradientEstimator
{
    public const string Name = "straight_through";

    protected override Tensor Estimate(Tensor input, Tensor quantized) => input.Plus((quantized - input).detach());
}
