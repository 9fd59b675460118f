using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using DQ.Core.Native;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>What one update by Adam multiplies by.</summary>
/// <param name="Beta1">Decay of the first moments.</param>
/// <param name="Beta2">Decay of the second moments.</param>
/// <param name="Epsilon">Outside the root.</param>
/// <param name="Step">Learning rate over the first moments' bias correction.</param>
/// <param name="RootCorrection">Root of the second moments' bias correction.</param>
/// <param name="Keep">Decoupled decay: what values are multiplied by.</param>
/// <param name="Scale">What gradients are multiplied by (clipping).</param>
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
/// A pass over all parameters of a CPU model in pieces of fixed size, so that results do not depend on the number of threads.
/// </summary>
internal sealed unsafe class AdamPass : ParallelChunks
{
    private const int Piece = 1 << 15;

    private readonly List<(int Tensor, int Start, int Count)> pieces;
    private readonly nint[] gradients;
    private readonly double[]? sums;
    private readonly (nint[] Values, nint[] First, nint[] Second, AdamFactors Factors)? update;

    private AdamPass(Tensor?[] gradients, bool summing, (nint[], nint[], nint[], AdamFactors)? update)
    {
        pieces = Cut(gradients);
        this.gradients = Pointers(gradients);
        sums = summing ? new double[pieces.Count] : null;
        this.update = update;
    }

    /// <summary>Sum of the squares of all that is there, in float64.</summary>
    public static double SumOfSquares(Tensor?[] gradients)
    {
        var pass = new AdamPass(gradients, summing: true, update: null);
        pass.Run(pass.pieces.Count);
        return pass.sums!.Sum();
    }

    /// <summary>Values and moments with a gradient are changed in place.</summary>
    public static void Update(Tensor[] values, Tensor?[] gradients, Tensor[] first, Tensor[] second, AdamFactors factors)
    {
        var pass = new AdamPass(gradients, summing: false, (Pointers(values), Pointers(first), Pointers(second), factors));
        pass.Run(pass.pieces.Count);
    }

    protected override void Chunk(int index)
    {
        var (tensor, start, count) = pieces[index];
        var slope = (float*)gradients[tensor] + start;
        if (sums is not null)
            sums[index] = SquaresOf(new ReadOnlySpan<float>(slope, count));
        else if (update is var (values, first, second, factors))
            UpdatePiece(
                new((float*)values[tensor] + start, count),
                new(slope, count),
                new((float*)first[tensor] + start, count),
                new((float*)second[tensor] + start, count),
                factors
            );
    }

    private static List<(int, int, int)> Cut(Tensor?[] tensors)
    {
        var cut = new List<(int, int, int)>();
        for (var tensor = 0; tensor < tensors.Length; tensor++)
            if (tensors[tensor] is { } present)
                for (var (start, total) = (0, checked((int)present.numel())); start < total; start += Piece)
                    cut.Add((tensor, start, Math.Min(Piece, total - start)));
        return cut;
    }

    private static nint[] Pointers(Tensor?[] tensors) => [.. tensors.Select(tensor => tensor is null ? 0 : Pointer(tensor))];

    /// libtorch's memory, which does not move
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
