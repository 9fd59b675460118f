using System.Numerics;
using System.Runtime.CompilerServices;

namespace DQ.Core.Likelihoods;

/// <summary>
/// Elementary functions on vectors of float32, with the machine's vector width. Polynomials are minimax fits on the reduced range.
/// </summary>
internal static class VectorMath
{
    /// <summary>Below this e^x is 0. The bound is above the range of denormal numbers, whose arithmetic is slow on many machines.</summary>
    private const float Underflow = -80;

    /// <summary>e^x for x ≤ 80, within 2 units in the last place; NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Exp(Vector<float> x)
    {
        Reduce(x, out var scale, out var fraction);
        var power = Vector.MultiplyAddEstimate(scale, fraction, scale);
        return Vector.AndNot(power, Vector.LessThan(x, new Vector<float>(Underflow)).As<int, float>());
    }

    /// <summary>e^x − 1 for x ≤ 80, without cancellation near 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> ExpLessOne(Vector<float> x)
    {
        Reduce(x, out var scale, out var fraction);
        var lessOne = Vector.MultiplyAddEstimate(scale, fraction, scale - Vector<float>.One);
        return Vector.ConditionalSelect(Vector.LessThan(x, new Vector<float>(Underflow)), -Vector<float>.One, lessOne);
    }

    /// e^x = scale · (1 + fraction), with scale = 2^n and x = n ln 2 + r, |r| ≤ ln 2 / 2
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Reduce(Vector<float> x, out Vector<float> scale, out Vector<float> fraction)
    {
        // adding 1.5·2^23 rounds to an integer and leaves it in the low bits
        var rounder = new Vector<float>(12582912);
        var shifted = Vector.MultiplyAddEstimate(x, new Vector<float>(1.4426950f), rounder);
        var n = shifted - rounder;
        var r = Vector.MultiplyAddEstimate(n, new Vector<float>(-0.693145751953125f), x);
        r = Vector.MultiplyAddEstimate(n, new Vector<float>(-1.428606765330187e-06f), r);
        var p = new Vector<float>(0.0013814467238262296f);
        p = Vector.MultiplyAddEstimate(p, r, new Vector<float>(0.008368780836462975f));
        p = Vector.MultiplyAddEstimate(p, r, new Vector<float>(0.04166839271783829f));
        p = Vector.MultiplyAddEstimate(p, r, new Vector<float>(0.1666651964187622f));
        p = Vector.MultiplyAddEstimate(p, r, new Vector<float>(0.4999999403953552f));
        fraction = Vector.MultiplyAddEstimate(p, r * r, r);
        scale = (Vector.ShiftLeft(shifted.As<float, int>(), 23) + new Vector<int>(0x3f800000)).As<int, float>();
    }

    /// <summary>log x for positive normal x, within 3 units in the last place; NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Log(Vector<float> x)
    {
        // x = 2^n · m, m in [√½, √2); log m = 2 artanh s, s = (m − 1) / (m + 1)
        var bits = x.As<float, int>() - new Vector<int>(0x3f3504f3);
        var n = Vector.ConvertToSingle(Vector.ShiftRightArithmetic(bits, 23));
        var m = ((bits & new Vector<int>(0x007fffff)) + new Vector<int>(0x3f3504f3)).As<int, float>();
        var s = (m - Vector<float>.One) / (m + Vector<float>.One);
        var z = s * s;
        var p = new Vector<float>(0.29874420166015625f);
        p = Vector.MultiplyAddEstimate(p, z, new Vector<float>(0.3997744917869568f));
        p = Vector.MultiplyAddEstimate(p, z, new Vector<float>(0.6666677594184875f));
        var log = Vector.MultiplyAddEstimate(p * z, s, s + s);
        // x − x is 0, or NaN for NaN, whose bits have no meaning above
        return Vector.MultiplyAddEstimate(n, new Vector<float>(0.6931471805599453f), log) + (x - x);
    }
}
