using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using DQ.Core.Native;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>The factors of one update by Adam.</summary>
/// <param name="Beta1">Decay of the first moments.</param>
/// <param name="Beta2">Decay of the second moments.</param>
/// <param name="Epsilon">ε, added outside the root.</param>
/// <param name="Step">Learning rate divided by the first moments' bias correction.</param>
/// <param name="RootCorrection">Root of the second moments' bias correction.</param>
/// <param name="Keep">Factor of the values (decoupled decay).</param>
/// <param name="Scale">Factor of the gradients (clipping).</param>
internal sealed record AdamFactors(
    double Beta1,
    double Beta2,
    double Epsilon,
    double Step,
    double RootCorrection,
    double Keep,
    double Scale
);

/// <summary>
/// Processes all parameters of a CPU model in chunks of fixed size, so that results do not depend on the number of threads.
/// </summary>
internal sealed unsafe class AdamPass
{
    private const int PieceLength = 1 << 15;

    private readonly record struct Piece(int Tensor, int Start, int Count);

    private readonly Piece[] pieces;
    private readonly double[] sums;
    private readonly nint[] values;
    private readonly nint[] first;
    private readonly nint[] second;
    private readonly nint[] slopes;

    /// <param name="values">Parameters, contiguous float32, whose memory must not move.</param>
    /// <param name="first">Their first moments, as above.</param>
    /// <param name="second">Their second moments, as above.</param>
    public AdamPass(Tensor[] values, Tensor[] first, Tensor[] second)
    {
        pieces = [.. values.SelectMany((value, tensor) => Cut(tensor, checked((int)value.numel())))];
        sums = new double[pieces.Length];
        slopes = new nint[values.Length];
        (this.values, this.first, this.second) = (Pointers(values), Pointers(first), Pointers(second));
    }

    /// <summary>Sum of the squares of all present gradients, in float64.</summary>
    public double SumOfSquares(Tensor?[] gradients)
    {
        Point(gradients);
        new Squares(this).Run(pieces.Length);
        return sums.Sum();
    }

    /// <summary>Updates in place the values and moments of the parameters that have a gradient.</summary>
    public void Update(Tensor?[] gradients, AdamFactors factors)
    {
        Point(gradients);
        new Updates(this, factors).Run(pieces.Length);
    }

    private void Point(Tensor?[] gradients)
    {
        for (var tensor = 0; tensor < slopes.Length; tensor++)
            slopes[tensor] = gradients[tensor] is { } gradient ? Pointer(gradient) : 0;
    }

    private sealed class Squares(AdamPass pass) : ParallelChunks
    {
        protected override void Chunk(int index)
        {
            var (tensor, start, count) = pass.pieces[index];
            pass.sums[index] = pass.slopes[tensor] == 0 ? 0 : SquaresOf(new((float*)pass.slopes[tensor] + start, count));
        }
    }

    private sealed class Updates(AdamPass pass, AdamFactors factors) : ParallelChunks
    {
        protected override void Chunk(int index)
        {
            var (tensor, start, count) = pass.pieces[index];
            if (pass.slopes[tensor] != 0)
                UpdatePiece(
                    new((float*)pass.values[tensor] + start, count),
                    new((float*)pass.slopes[tensor] + start, count),
                    new((float*)pass.first[tensor] + start, count),
                    new((float*)pass.second[tensor] + start, count),
                    factors
                );
        }
    }

    private static IEnumerable<Piece> Cut(int tensor, int length)
    {
        for (var start = 0; start < length; start += PieceLength)
            yield return new(tensor, start, Math.Min(PieceLength, length - start));
    }

    private static nint[] Pointers(Tensor[] tensors) => [.. tensors.Select(Pointer)];

    private static nint Pointer(Tensor tensor) =>
        tensor.is_contiguous() && tensor.dtype == ScalarType.Float32
            ? (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(tensor.bytes))
            : throw new InvalidOperationException($"expected a contiguous float32 tensor, got {tensor.dtype}");

    private static double SquaresOf(ReadOnlySpan<float> values)
    {
        var low = Vector256<double>.Zero;
        var high = Vector256<double>.Zero;
        var index = 0;
        for (; index <= values.Length - Vector256<float>.Count; index += Vector256<float>.Count)
        {
            var (lower, upper) = Vector256.Widen(Vector256.Create(values[index..]));
            low += lower * lower;
            high += upper * upper;
        }
        var sum = Vector256.Sum(low + high);
        for (; index < values.Length; index++)
            sum += (double)values[index] * values[index];
        return sum;
    }

    private static void UpdatePiece(
        Span<float> value,
        ReadOnlySpan<float> gradient,
        Span<float> first,
        Span<float> second,
        AdamFactors factors
    )
    {
        var index = 0;
        var (beta1, beta2, epsilon) = ((float)factors.Beta1, (float)factors.Beta2, (float)factors.Epsilon);
        var (rest1, rest2) = ((float)(1 - factors.Beta1), (float)(1 - factors.Beta2));
        var (step, root, keep, scale) = ((float)factors.Step, (float)factors.RootCorrection, (float)factors.Keep, (float)factors.Scale);
        var (wideEpsilon, inverseRoot) = (Vector256.Create(epsilon), Vector256.Create(1 / root));
        for (; index <= value.Length - Vector256<float>.Count; index += Vector256<float>.Count)
        {
            var slope = Vector256.Create(gradient[index..]) * scale;
            var mean = Vector256.Create<float>(first[index..]) * beta1 + slope * rest1;
            var square = Vector256.Create<float>(second[index..]) * beta2 + slope * slope * rest2;
            mean.CopyTo(first[index..]);
            square.CopyTo(second[index..]);
            var denominator = Vector256.Sqrt(square) * inverseRoot + wideEpsilon;
            (Vector256.Create<float>(value[index..]) * keep - mean * step / denominator).CopyTo(value[index..]);
        }
        for (; index < value.Length; index++)
        {
            var slope = gradient[index] * scale;
            first[index] = first[index] * beta1 + slope * rest1;
            second[index] = second[index] * beta2 + slope * slope * rest2;
            value[index] = value[index] * keep - step * first[index] / (MathF.Sqrt(second[index]) / root + epsilon);
        }
    }
}
