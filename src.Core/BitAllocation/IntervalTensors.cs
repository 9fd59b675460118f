using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.BitAllocation;

/// <summary>An interval table as tensors on the features' device. It quantizes one channel or all channels.</summary>
public sealed class IntervalTensors : IDisposable
{
    private readonly ChannelQuantizer quantizer;
    private readonly Tensor intervals; // (C, 9)
    private readonly Tensor lowest; // (C)

    /// <exception cref="ArgumentException">The table is for another quantizer.</exception>
    public IntervalTensors(ChannelQuantizer quantizer, IntervalTable table, Device device)
    {
        if (table.Subject.Quantizer != quantizer.Name)
            throw new ArgumentException($"expected a table for {quantizer.Name}, got one for {table.Subject.Quantizer}", nameof(table));
        this.quantizer = quantizer;
        intervals = tensor(table.Intervals.SelectMany(row => row).ToArray(), [table.Channels, IntervalTable.MaxBits + 1], device: device)
            .DetachFromDisposeScope();
        lowest = tensor(table.Lowest, device: device).DetachFromDisposeScope();
    }

    /// <summary>Quantizes one channel's values (…) with this number of bits; the shape does not change. The caller disposes the
    /// result.</summary>
    public Tensor Quantize(Tensor values, int channel, int bits)
    {
        using var scope = NewDisposeScope();
        var levels = full_like(lowest[channel], Kept(1 << bits));
        return quantizer.Quantize(values, intervals[channel, bits], lowest[channel], levels).MoveToOuterDisposeScope();
    }

    /// <summary>Quantizes all channels (N, C, H, W), each with its own bits; the caller disposes the result.</summary>
    public Tensor Quantize(Tensor features, IReadOnlyList<int> bits)
    {
        using var scope = NewDisposeScope();
        var (interval, low, levels) = At(bits);
        return quantizer.Quantize(features, interval, low, levels).MoveToOuterDisposeScope();
    }

    /// <summary>Indices of the levels, float32 (N, C, H, W); the caller disposes it.</summary>
    public Tensor Indices(Tensor features, IReadOnlyList<int> bits)
    {
        using var scope = NewDisposeScope();
        var (interval, low, levels) = At(bits);
        return quantizer.Indices(features, interval, low, levels).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        intervals.Dispose();
        lowest.Dispose();
    }

    /// (1, C, 1, 1) each.
    private (Tensor Interval, Tensor Lowest, Tensor Levels) At(IReadOnlyList<int> bits)
    {
        var chosen = tensor(bits.Select(count => (long)count).ToArray(), device: lowest.device); // (C)
        var interval = intervals.gather(1, chosen.unsqueeze(1)); // (C, 1)
        return (Shaped(interval), Shaped(lowest), Shaped(pow(2f, chosen)));
    }

    private static Tensor Shaped(Tensor channels) => channels.reshape(1, -1, 1, 1);
}
