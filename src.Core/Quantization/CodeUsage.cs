using System.Numerics;
using System.Runtime.InteropServices;
using DQ.Core.Parallel;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>Statistics of the vectors quantized since the last optimizer step.</summary>
/// <param name="Counts">Vectors assigned to each code n (M, K).</param>
/// <param name="Sums">Their sums s (M, K, D).</param>
/// <param name="Vectors">The latest micro-batch's vectors (M or 1, N, D). Dead codes are redrawn from these.</param>
/// <param name="Total">Number of vectors per codebook over all micro-batches and ranks.</param>
/// <param name="Rows">How <paramref name="Vectors"/> lie on several ranks; null in one process.</param>
public sealed record CodeUses(Tensor Counts, Tensor Sums, Tensor Vectors, long Total, SharedRows? Rows = null) : IDisposable
{
    public void Dispose()
    {
        Counts.Dispose();
        Sums.Dispose();
        Vectors.Dispose();
    }
}

/// <summary>
/// Collects counts and sums over the micro-batches of one optimizer step, so that codebooks learn once per step.
/// </summary>
public sealed class CodeUsage : IDisposable
{
    private CodeUses? collected;

    /// <summary>Counts and sums so far, to be summed over ranks in place.</summary>
    public IReadOnlyList<Tensor> Collected => collected is null ? [] : [collected.Counts, collected.Sums];

    /// <param name="vectors">(M or 1, N, D) contiguous float32.</param>
    /// <param name="chosen">(M, N) int64.</param>
    /// <param name="codes">(M, K, D); only shape and device are read.</param>
    /// <param name="rows">How the vectors lie on several ranks; null in one process.</param>
    public void Add(Tensor vectors, Tensor chosen, Tensor codes, SharedRows? rows = null)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var counts = collected?.Counts ?? zeros(codes.shape[0], codes.shape[1], device: codes.device).DetachFromDisposeScope();
        var sums = collected?.Sums ?? zeros_like(codes).DetachFromDisposeScope();
        if (codes.device_type == TorchSharp.DeviceType.CPU)
            AddOnCpu(vectors, chosen, counts, sums);
        else
            AddOnDevice(vectors, chosen, counts, sums);
        collected?.Vectors.Dispose();
        var total = (collected?.Total ?? 0) + (rows?.Total ?? vectors.shape[1]);
        collected = new(counts, sums, vectors.alias().DetachFromDisposeScope(), total, rows);
    }

    /// <summary>Returns what was collected, or null if nothing was, and starts again. The caller disposes the result.</summary>
    public CodeUses? Take()
    {
        var taken = collected;
        collected = null;
        return taken;
    }

    /// <summary>Replaces what was collected by second handles of these statistics.</summary>
    public void Give(CodeUses seen)
    {
        Dispose();
        collected = new(Second(seen.Counts), Second(seen.Sums), Second(seen.Vectors), seen.Total);

        static Tensor Second(Tensor tensor) => tensor.alias().DetachFromDisposeScope();
    }

    public void Dispose() => Take()?.Dispose();

    /// One pass over the vectors in order: deterministic, and without the N × K one-hot matrix of a matrix product.
    private static void AddOnCpu(Tensor vectors, Tensor chosen, Tensor counts, Tensor sums)
    {
        var (books, rows) = ((int)chosen.shape[0], (int)chosen.shape[1]);
        var (codeCount, width) = ((int)sums.shape[1], (int)sums.shape[2]);
        var shared = vectors.shape[0] == 1;
        var values = MemoryMarshal.Cast<byte, float>(vectors.bytes);
        var choices = MemoryMarshal.Cast<byte, long>(chosen.bytes);
        var countOf = MemoryMarshal.Cast<byte, float>(counts.bytes);
        var sumOf = MemoryMarshal.Cast<byte, float>(sums.bytes);
        for (var book = 0; book < books; book++)
        {
            var source = values.Slice(shared ? 0 : book * rows * width, rows * width);
            for (var row = 0; row < rows; row++)
            {
                var code = book * codeCount + (int)choices[book * rows + row];
                countOf[code]++;
                AddTo(sumOf.Slice(code * width, width), source.Slice(row * width, width));
            }
        }
    }

    private static void AddTo(Span<float> target, ReadOnlySpan<float> source)
    {
        var index = 0;
        for (; index <= target.Length - Vector<float>.Count; index += Vector<float>.Count)
            (new Vector<float>(target[index..]) + new Vector<float>(source[index..])).CopyTo(target[index..]);
        for (; index < target.Length; index++)
            target[index] += source[index];
    }

    private static void AddOnDevice(Tensor vectors, Tensor chosen, Tensor counts, Tensor sums)
    {
        var (books, codeCount, width) = (sums.shape[0], sums.shape[1], sums.shape[2]);
        var flat = chosen.Plus(IntegersBelow(books, device: chosen.device).unsqueeze(1) * Kept(codeCount)).view(-1); // (M·N)
        var rows = vectors.expand(books, vectors.shape[1], width).reshape(-1, width);
        counts.view(-1).index_add_(0, flat, ones(flat.shape[0], device: flat.device), Kept(1));
        sums.view(-1, width).index_add_(0, flat, rows, Kept(1));
    }
}
