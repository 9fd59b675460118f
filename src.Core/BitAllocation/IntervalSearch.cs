using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.BitAllocation;

/// <summary>Finds the interval with the least squared error of every channel and bit count.</summary>
/// <remarks>
/// Searches a geometric grid of fractions of the widest interval, and then a finer grid between the neighbours of its best point. The error
/// has several minima, so that bracketing alone is not enough.
/// </remarks>
public static class IntervalSearch
{
    /// <summary>Maximum number of values per channel; if there are more, evenly spaced ones are used.</summary>
    public const int ValuesPerChannel = 8192;

    private const int CoarseSteps = 64;
    private const int FineSteps = 16;

    /// Fractions of the widest interval. A single cell around a mean near the highest value needs twice the width.
    private const double Smallest = 1.0 / 512;
    private const double Largest = 2;

    /// <param name="features">Features of calibration images, (N, C, H, W).</param>
    /// <param name="quantizer">The quantizer of the intervals.</param>
    /// <param name="subject">The subject of the table.</param>
    /// <param name="cancellation">Checked between bit counts.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static IntervalTable Run(
        Tensor features,
        ChannelQuantizer quantizer,
        IntervalSubject subject,
        CancellationToken cancellation = default
    )
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var channels = (int)features.shape[1];
        var all = features.transpose(0, 1).reshape(channels, -1); // (C, N·H·W)
        var stride = (all.shape[1] + ValuesPerChannel - 1) / ValuesPerChannel;
        var values = all.slice(1, 0, all.shape[1], stride).contiguous(); // (C, n)
        // the range of all values, not of the sample, so that no value outside the sample's range is clipped
        var (lowest, highest) = (all.amin([1], keepdim: true), all.amax([1], keepdim: true)); // (C, 1)
        var intervals = new float[channels][];
        var errors = new double[channels][];
        for (var channel = 0; channel < channels; channel++)
            (intervals[channel], errors[channel]) = (new float[IntervalTable.MaxBits + 1], new double[IntervalTable.MaxBits + 1]);
        for (var bits = 0; bits <= IntervalTable.MaxBits; bits++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = NewDisposeScope();
            var levels = full_like(lowest, Kept(Math.Pow(2, bits)));
            var widest = quantizer.Widest(lowest, highest, levels); // (C, 1)
            var step = Math.Pow(Largest / Smallest, 1.0 / CoarseSteps);
            var (interval, error) = Best(quantizer, values, lowest, levels, widest * Kept(Smallest), step, CoarseSteps);
            var fineStep = Math.Pow(step, 2.0 / FineSteps);
            (interval, error) = Best(quantizer, values, lowest, levels, interval / Kept(step), fineStep, FineSteps);
            var (foundIntervals, foundErrors) = (interval.cpu().data<float>().ToArray(), error.cpu().data<float>().ToArray());
            for (var channel = 0; channel < channels; channel++)
                (intervals[channel][bits], errors[channel][bits]) = (foundIntervals[channel], foundErrors[channel]);
        }
        return new(subject, lowest.cpu().data<float>().ToArray(), intervals, errors);
    }

    /// The best of first·step^i, i = 0…steps, and its error, (C, 1) both.
    private static (Tensor Interval, Tensor Error) Best(
        ChannelQuantizer quantizer,
        Tensor values,
        Tensor lowest,
        Tensor levels,
        Tensor first,
        double step,
        int steps
    )
    {
        var (best, least) = (first, full_like(first, Kept(double.PositiveInfinity)));
        for (var index = 0; index <= steps; index++)
        {
            using var inner = NewDisposeScope();
            var interval = first * Kept(Math.Pow(step, index));
            var error = quantizer.Quantize(values, interval, lowest, levels).sub_(values).Squared().mean([1L], keepdim: true);
            var better = error.less(least);
            best = where(better, interval, best).MoveToOuterDisposeScope();
            least = where(better, error, least).MoveToOuterDisposeScope();
        }
        return (best, least);
    }
}
