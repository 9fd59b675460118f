using static DQ.Core.Native.HeldOperations;
using static TorchSharp.torch;

namespace DQ.Core.BitAllocation;

/// <summary>So many bits for a channel that had others.</summary>
/// <param name="Channel">Among those that are allocated to.</param>
/// <param name="Bits">0 to <see cref="IntervalTable.MaxBits"/>, or <see cref="OutputError.Exact"/>.</param>
public readonly record struct BitChange(int Channel, int Bits);

/// <summary>
/// The true error of an allocation, mean (g(ẑ) − g(z))² over images and outputs, and that of its neighbours: many at once as one
/// batch through g.
/// </summary>
/// <remarks>
/// As many copies of ẑ (N, C, H, W) as fit stay in memory. A neighbour changes a channel or two in one copy, which are put
/// back afterwards: what is written for it is a five-hundredth of ẑ, not all.
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

    /// <param name="features">z (N, C, H, W) of the images; read until this is disposed.</param>
    /// <param name="back">g, of maps (N, C, H, W); gives a tensor whose first axis is N.</param>
    /// <param name="intervals">Quantize the channels.</param>
    /// <param name="channels">Those that are allocated to; the others stay as they are. None is all.</param>
    /// <param name="memoryBytes">For the copies; there is always one.</param>
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

    /// <summary>Channels that are allocated to.</summary>
    public int Channels => channels.Length;

    /// <summary>Their bits now.</summary>
    public IReadOnlyList<int> Bits => bits;

    /// <summary>Index among all of the features' channels.</summary>
    public int ChannelOf(int channel) => channels[channel];

    /// <summary>Allocations whose error was asked for so far.</summary>
    public long Evaluations { get; private set; }

    /// <summary>Mean square of g(z).</summary>
    public double OutputPower => expected.Squared().mean().item<double>();

    /// <summary>Another allocation from here on.</summary>
    public void Set(IReadOnlyList<int> allocation)
    {
        if (allocation.Count != Channels)
            throw new ArgumentException($"expected bits of {Channels} channels, got {allocation.Count}", nameof(allocation));
        for (var channel = 0; channel < Channels; channel++)
            if (allocation[channel] != bits[channel])
                Apply(new BitChange(channel, allocation[channel]));
    }

    /// <summary>One channel's bits from here on.</summary>
    public void Apply(BitChange change)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Slot(copies, change.Channel, 2).copy_(Quantized(change).unsqueeze(0));
        bits[change.Channel] = change.Bits;
    }

    /// <summary>The error as it stands.</summary>
    public double Current() =>
        Of([
            [],
        ])[0];

    /// <summary>The error of one allocation; what stands is left.</summary>
    public double Of(IReadOnlyList<int> allocation) =>
        Of([
            [.. allocation.Select((count, channel) => new BitChange(channel, count)).Where(change => change.Bits != bits[change.Channel])],
        ])[0];

    /// <summary>The errors of allocations that differ from the one that stands by these changes, in their order.</summary>
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
