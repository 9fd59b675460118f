using System.Numerics;
using DQ.Core.Native;

namespace DQ.Core.Likelihoods.Context;

/// <summary>Computes ReLU(row + bias) of a layer's sums in place, row by row. In residual layers it also adds the layer's inputs.</summary>
/// <param name="values">Rows, whose length is a multiple of the vector length.</param>
/// <param name="bias">Bias of each row.</param>
/// <param name="before">The layer's inputs; null if the layer is not residual.</param>
/// <param name="after">Receives inputs + ReLU; null if the layer is not residual.</param>
/// <param name="rows">Number of rows.</param>
/// <param name="width">Length of a row.</param>
internal sealed unsafe class RectifiedRows(float* values, float* bias, float* before, float* after, int rows, int width) : ParallelChunks
{
    private const int RowsPerChunk = 16;

    public void Run() => Run((rows + RowsPerChunk - 1) / RowsPerChunk);

    protected override void Chunk(int index)
    {
        for (var row = index * RowsPerChunk; row < Math.Min(rows, (index + 1) * RowsPerChunk); row++)
        {
            var offset = new Vector<float>(bias[row]);
            var start = (long)row * width;
            for (var at = start; at < start + width; at += Vector<float>.Count)
            {
                var value = Vector.MaxNative(Vector<float>.Zero, Vector.Load(values + at) + offset);
                Vector.Store(value, values + at);
                if (after != null)
                    Vector.Store(Vector.Load(before + at) + value, after + at);
            }
        }
    }
}

/// <summary>The backward pass: derivatives where the ReLU's output is positive, else 0, and their sums by row.</summary>
/// <param name="gradient">Derivatives of the ReLU's outputs.</param>
/// <param name="rectified">The ReLU's outputs.</param>
/// <param name="target">Receives the derivatives of the layer's sums; may be <paramref name="gradient"/>.</param>
/// <param name="sums">Sum of each row's derivatives, to which this adds.</param>
/// <param name="rows">Number of rows.</param>
/// <param name="width">Length of a row, a multiple of the vector length.</param>
internal sealed unsafe class RectifiedGradient(float* gradient, float* rectified, float* target, float* sums, int rows, int width)
    : ParallelChunks
{
    private const int RowsPerChunk = 16;

    public void Run() => Run((rows + RowsPerChunk - 1) / RowsPerChunk);

    protected override void Chunk(int index)
    {
        for (var row = index * RowsPerChunk; row < Math.Min(rows, (index + 1) * RowsPerChunk); row++)
        {
            var (start, sum) = ((long)row * width, Vector<float>.Zero);
            for (var at = start; at < start + width; at += Vector<float>.Count)
            {
                var passes = Vector.GreaterThan(Vector.Load(rectified + at), Vector<float>.Zero);
                var value = Vector.Load(gradient + at) & passes.As<int, float>();
                sum += value;
                Vector.Store(value, target + at);
            }
            sums[row] += Vector.Sum(sum);
        }
    }
}
