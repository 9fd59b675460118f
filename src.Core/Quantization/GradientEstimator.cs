using static DQ.Core.Native.HeldOperations;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>What gradient the input of a quantization receives, which itself has none: the step to the nearest code is flat.</summary>
public abstract class GradientEstimator
{
    /// <summary>The estimator a specification names.</summary>
    public static GradientEstimator Create(QuantizerSpec spec) =>
        spec.Gradient switch
        {
            StraightThrough.Name => new StraightThrough(),
            RotationTrick.Name => new RotationTrick(),
            var other => throw new ArgumentException($"expected {string.Join(" or ", Names)}, got '{other}'", nameof(spec)),
        };

    /// <summary>Names a configuration may use.</summary>
    public static IReadOnlyList<string> Names { get; } = [StraightThrough.Name, RotationTrick.Name];

    /// <summary>The quantized values with a gradient for the input; exactly the quantized values where nothing is to be differentiated.</summary>
    /// <param name="input">(B, S, D, …), S = M or 1: one vector may be quantized by all codebooks.</param>
    /// <param name="quantized">(B, M, D, …); its own gradient is cut.</param>
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
