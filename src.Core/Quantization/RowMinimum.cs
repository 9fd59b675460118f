using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using DQ.Core.Native;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// Finds the column of the least value of each row of a CPU tensor. libtorch's argmin uses a scalar loop with 64-bit indices. Here eight
/// columns are compared at once, and rows in parallel.
/// </summary>
internal sealed unsafe class RowMinimum : ParallelChunks
{
    private const int RowsPerChunk = 128;

    private readonly float* values;
    private readonly long* places;
    private readonly int rows;
    private readonly int columns;
    private readonly int rowsPerBook;
    private readonly long bookStride;

    private RowMinimum(float* values, long* places, int rows, int columns, int rowsPerBook, long bookStride)
    {
        this.values = values;
        this.places = places;
        (this.rows, this.columns, this.rowsPerBook, this.bookStride) = (rows, columns, rowsPerBook, bookStride);
    }

    /// <param name="distances">(M, n, K) contiguous float32.</param>
    /// <param name="chosen">(M, N) contiguous int64; columns <paramref name="start"/> … start + n − 1 receive the column of each row's
    /// least value, the first of equal ones. It is 0 if all values are NaN.</param>
    /// <param name="start">First of those columns.</param>
    public static void Find(Tensor distances, Tensor chosen, long start)
    {
        var (books, rows, columns) = ((int)distances.size(0), (int)distances.size(1), (int)distances.size(2));
        if (rows == 0)
            return;
        var values = (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(distances.bytes));
        var places = (long*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(chosen.bytes));
        new RowMinimum(values, places + start, books * rows, columns, rows, chosen.size(1)).Run(
            (books * rows + RowsPerChunk - 1) / RowsPerChunk
        );
    }

    protected override void Chunk(int index)
    {
        var end = Math.Min(rows, (index + 1) * RowsPerChunk);
        for (var row = index * RowsPerChunk; row < end; row++)
            places[row / rowsPerBook * bookStride + row % rowsPerBook] = Least(values + (long)row * columns, columns);
    }

    private static int Least(float* row, int count)
    {
        var best = Vector256.Create(float.PositiveInfinity);
        var bestAt = Vector256<int>.Zero;
        var at = Vector256.Create(0, 1, 2, 3, 4, 5, 6, 7);
        var step = Vector256.Create(Vector256<int>.Count);
        var column = 0;
        for (; column <= count - Vector256<float>.Count; column += Vector256<float>.Count)
        {
            var value = Vector256.Load(row + column);
            var less = Vector256.LessThan(value, best);
            best = Vector256.ConditionalSelect(less, value, best);
            bestAt = Vector256.ConditionalSelect(less.AsInt32(), at, bestAt);
            at += step;
        }
        var (least, place) = (float.PositiveInfinity, 0);
        for (var lane = 0; lane < Vector256<float>.Count; lane++)
            if (best[lane] < least || (best[lane] == least && bestAt[lane] < place))
                (least, place) = (best[lane], bestAt[lane]);
        for (; column < count; column++)
            if (row[column] < least)
                (least, place) = (row[column], column);
        return place;
    }
}
