using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// Writes the quantized vector as the rotated and scaled input, q = λRu, with constant rotation R and scale λ. The angle between the
/// gradient and q becomes the angle between the passed gradient and u. So vectors with the same code no longer all receive the same
/// gradient.
/// </summary>
/// <remarks>
/// Source: Fifty et al. 2024, <i>Restructuring Vector Quantization with the Rotation Trick</i>, section 4.2: with û, q̂ of unit length
/// and r = (û + q̂)/|û + q̂|, R = I − 2rrᵀ + 2q̂ûᵀ, never formed as a matrix; λ = |q|/|u|.
/// Deviation: the rounding error between λRu and q is added as a constant. So the value is q itself, also where û = −q̂ and R is undefined.
/// </remarks>
public sealed class RotationTrick : GradientEstimator
{
    public const string Name = "rotation";

    // without a bound, a vector near zero and its gradient would be scaled by a very large factor
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
