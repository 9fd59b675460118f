using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.BitAllocation;

/// <summary>Counts each level of each channel, and computes the bits to code them.</summary>
public sealed class LevelCounts
{
    private const int MostLevels = 1 << IntervalTable.MaxBits;

    private readonly int[] bits;
    private readonly long[] counts; // (C, 256)

    /// <param name="bits">Bits of every channel.</param>
    public LevelCounts(IReadOnlyList<int> bits)
    {
        this.bits = [.. bits];
        counts = new long[bits.Count * MostLevels];
    }

    /// <summary>Number of values counted so far.</summary>
    public long Values { get; private set; }

    /// <param name="indices">Indices (N, C, H, W) from <see cref="IntervalTensors.Indices"/> with the same bits.</param>
    public void Add(Tensor indices)
    {
        using var scope = NewDisposeScope();
        var channel = IntegersBelow(bits.Length, ScalarType.Int64, indices.device).reshape(1, -1, 1, 1);
        var counted = indices.to_type(ScalarType.Int64).Plus(channel * Kept(MostLevels)).flatten().bincount(null, counts.Length).cpu();
        var added = counted.data<long>();
        for (var place = 0; place < counts.Length; place++)
            counts[place] += added[place];
        Values += indices.numel();
    }

    /// <summary>
    /// Bits to code these levels under the frequencies of <paramref name="known"/>, with one added to each count. A coder can reach this
    /// length if those frequencies were sent before.
    /// </summary>
    public double CodedBits(LevelCounts known)
    {
        var total = 0.0;
        for (var channel = 0; channel < bits.Length; channel++)
        {
            var own = counts.AsSpan(channel * MostLevels, 1 << bits[channel]);
            var theirs = known.counts.AsSpan(channel * MostLevels, 1 << bits[channel]);
            var sum = (double)own.Length;
            foreach (var count in theirs)
                sum += count;
            for (var level = 0; level < own.Length; level++)
                if (own[level] > 0)
                    total -= own[level] * Math.Log2((theirs[level] + 1) / sum);
        }
        return total;
    }
}
