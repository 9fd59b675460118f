using static DQ.Core.Native.HeldOperations;
using static TorchSharp.torch;

namespace DQ.Core.BitAllocation;

/// <summary>A new number of bits for one channel.</summary>
/// <param name="Channel">Index among the channels of the allocation.</param>
/// <param name="Bits">0 to <see cref="IntervalTable.MaxBits"/>, or <see cref="OutputError.Exact"/>.</param>
public readonly record struct BitChange(int Channel, int Bits);

/// <summary>
/// The true error of an allocation, mean (g(ẑ) − g(z))² over images and outputs, and the errors of its neighbours, many of which g computes
/// in one batch.
/// </summary>
/// <remarks>
/// As many copies of ẑ (N, C, H, W) as fit stay in memory. A neighbour changes one or two channels in one copy, which are restored
/// afterwards. So only about a five-hundredth of ẑ is written for it.
/// </remarks>
public sealed class OutputError : IDisposable
{
    /// <summary>The bits of a channel that is not quantized.</summary>
    public const int Exact = -1;

    private readonly Func<Tensor, Tensor> back;
    private readonly IntervalTensors intervals;
    private readonly int[] channels;
    private readonly Tensor features; // z (N, C, H, W)
    private readonly Tensor expected; // g(z) (N, outputs), float64
    private readonly Tensor copies; // ẑ (K, N, C, H, W)
    private readonly int[] bits;

    /// <param name="features">Features z (N, C, H, W) of the images, which are read until this object is disposed.</param>
    /// <param name="back">The second part g of the network: maps (N, C, H, W) to a tensor whose first axis is N.</param>
    /// <param name="intervals">Intervals of the channels' quantizers.</param>
    /// <param name="channels">The channels of the allocation; the others are not quantized. An empty list means all.</param>
    /// <param name="memoryBytes">Memory for the copies; there is always at least one.</param>
    public OutputError(
        Tensor features,
        Func<Tensor, Tensor> back,
        IntervalTensors intervals,
        IReadOnlyList<int>? channels = null,
        long memoryBytes = 256L << 20
    )
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (this.features, this.back, this.intervals) = (features, back, intervals);
        this.channels = channels is null ? [.. Enumerable.Range(0, (int)features.shape[1])] : [.. channels];
        bits = [.. Enumerable.Repeat(Exact, this.channels.Length)];
        var count = Math.Clamp(memoryBytes / (features.numel() * sizeof(float)), 1, Math.Max(1, 2 * this.channels.Length));
        copies = features.unsqueeze(0).repeat(count, 1, 1, 1, 1).DetachFromDisposeScope();
        expected = Outputs(back(features)).DetachFromDisposeScope();
    }

    /// <summary>The channels of the allocation.</summary>
    public int Channels => channels.Length;

    /// <summary>Their present bits.</summary>
    public IReadOnlyList<int> Bits => bits;

    /// <summary>Index among all of the features' channels.</summary>
    public int ChannelOf(int channel) => channels[channel];

    /// <summary>Number of allocations whose error was computed so far.</summary>
    public long Evaluations { get; private set; }

    /// <summary>Mean square of g(z).</summary>
    public double OutputPower => expected.Squared().mean().item<double>();

    /// <summary>Sets another allocation.</summary>
    public void Set(IReadOnlyList<int> allocation)
    {
        if (allocation.Count != Channels)
            throw new ArgumentException($"expected bits of {Channels} channels, got {allocation.Count}", nameof(allocation));
        for (var channel = 0; channel < Channels; channel++)
            if (allocation[channel] != bits[channel])
                Apply(new BitChange(channel, allocation[channel]));
    }

    /// <summary>Sets one channel's bits.</summary>
    public void Apply(BitChange change)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Slot(copies, change.Channel, 2).copy_(Quantized(change).unsqueeze(0));
        bits[change.Channel] = change.Bits;
    }

    /// <summary>The error of the present allocation.</summary>
    public double Current() =>
        Of([
            [],
        ])[0];

    /// <summary>The error of another allocation; the present allocation does not change.</summary>
    public double Of(IReadOnlyList<int> allocation) =>
        Of([
            [.. allocation.Select((count, channel) => new BitChange(channel, count)).Where(change => change.Bits != bits[change.Channel])],
        ])[0];

    /// <summary>The errors of allocations that differ from the present one by these changes, in their order.</summary>
    public double[] Of(IReadOnlyList<IReadOnlyList<BitChange>> neighbours, CancellationToken cancellation = default)
    {
        using var _ = no_grad();
        var errors = new double[neighbours.Count];
        var atOnce = (int)copies.shape[0];
        for (var first = 0; first < neighbours.Count; first += atOnce)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var count = Math.Min(atOnce, neighbours.Count - first);
            for (var place = 0; place < count; place++)
                foreach (var change in neighbours[first + place])
                    Slot(copies[place], change.Channel, 1).copy_(Quantized(change));
            var batch = copies.narrow(0, 0, count).flatten(0, 1); // (K·N, C, H, W)
            var outputs = Outputs(back(batch)).view(count, expected.shape[0], -1); // (K, N, outputs)
            var means = (outputs - expected).Squared().mean([1, 2]).cpu();
            for (var place = 0; place < count; place++)
            {
                errors[first + place] = means[place].item<double>();
                foreach (var change in neighbours[first + place])
                    Slot(copies[place], change.Channel, 1).copy_(Quantized(new BitChange(change.Channel, bits[change.Channel])));
            }
            Evaluations += count;
        }
        return errors;
    }

    public void Dispose()
    {
        copies.Dispose();
        expected.Dispose();
    }

    private Tensor Slot(Tensor maps, int channel, int axis) => maps.select(axis, channels[channel]);

    /// (N, H, W)
    private Tensor Quantized(BitChange change)
    {
        var exact = features.select(1, channels[change.Channel]);
        return change.Bits == Exact ? exact : intervals.Quantize(exact, channels[change.Channel], change.Bits);
    }

    private static Tensor Outputs(Tensor outputs) => outputs.to_type(ScalarType.Float64).flatten(1);
}
