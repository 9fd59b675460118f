using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// The quantized vector is the input turned and stretched, q = λRu, with rotation R and stretch λ held fixed: the angle between
/// gradient and q becomes the angle between the passed gradient and u, so that vectors of one code are no longer all moved alike.
/// </summary>
/// <remarks>
/// Source: Fifty et al. 2024, <i>Restructuring Vector Quantization with the Rotation Trick</i>, section 4.2: with û, q̂ of unit length
/// and r = (û + q̂)/|û + q̂|, R = I − 2rrᵀ + 2q̂ûᵀ, never formed as a matrix; λ = |q|/|u|.
/// Deviation: what rounding leaves between λRu and q is added as a constant, so that the value is q itself, also where û = −q̂
/// leaves R undefined.
/// </remarks>
public sealed class RotationTrick : GradientEstimator
{
    public const string Name = "rotation";

    // a vector near zero would be stretched without bound, and its gradient with it
    private const double LeastLength = 1e-6;
    private const long Axis = 2;

    protected override Tensor Estimate(Tensor input, Tensor quantized)
    {
        var (from, length) = Unit(input.detach()); // (B, S, D, …), (B, S, 1, …)
        var (to, newLength) = Unit(quantized); // (B, M, D, …), (B, M, 1, …)
        var (middle, _) = Unit(from.Plus(to));
        var turned = (input - Kept(2) * middle * (middle * input).sum(Axis, keepdim: true)).Plus(
            Kept(2) * to * (from * input).sum(Axis, keepdim: true)
        );
        var rotated = newLength / length * turned;
        return rotated.Plus((quantized - rotated).detach());
    }

    private static (Tensor Direction, Tensor Length) Unit(Tensor vectors)
    {
        var length = vectors.Squared().sum(Axis, keepdim: true).sqrt().clamp_min(Kept(LeastLength));
        return (vectors / length, length);
    }
}
