using System.Runtime.CompilerServices;
using TorchSharp;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Native;

/// <summary>Replacements for operations in which TorchSharp creates numbers that nothing keeps alive. Here the numbers are kept
/// alive.</summary>
/// <remarks>
/// <see cref="Scalars"/> describes the bug. Each method makes the same call of libtorch as the method of TorchSharp that it replaces, so
/// results are bit-identical.
/// </remarks>
public static class HeldOperations
{
    private static readonly Scalar two = Kept(2);

    /// <summary>augend + addend, of any shapes that broadcast; TorchSharp's <c>+</c> creates the addend's factor 1.</summary>
    public static Tensor Plus(this Tensor augend, Tensor addend) => augend.add(addend, One);

    /// <summary>augend + addend, element by element.</summary>
    public static Tensor Plus(this Tensor augend, Scalar addend) => augend.add(addend, One);

    /// <summary>x², element by element; TorchSharp's <c>square</c> creates the exponent.</summary>
    public static Tensor Squared(this Tensor x) => x.pow(two);

    /// <summary>log(1 + eˣ), element by element; x itself above the threshold.</summary>
    public static Tensor Softplus(this Tensor x, double threshold = 20) => WithNumbers(x, Kept(1.0), Kept(threshold));

    /// <summary>0, 1, …, count − 1: a tensor (count), of int64 if no type is named.</summary>
    public static Tensor IntegersBelow(long count, ScalarType? dtype = null, Device? device = null) =>
        arange(Kept(0), Kept(count), One, dtype, device);

    /// <summary>TorchSharp's private softplus with numbers as arguments.</summary>
    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "softplus1")]
    private static extern Tensor WithNumbers(Tensor x, Scalar beta, Scalar threshold);
}
