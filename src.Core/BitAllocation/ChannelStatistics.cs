using static TorchSharp.torch;

namespace DQ.Core.BitAllocation;

/// <summary>Mean absolute value and standard deviation of each channel's quantization error z − ẑ with b bits, on the calibration
/// images.</summary>
/// <param name="Means">Means of |z − ẑ|, by channel, then bits.</param>
/// <param name="Deviations">Standard deviations of z − ẑ, in the same order.</param>
public sealed record ChannelStatistics(double[][] Means, double[][] Deviations)
{
    /// <param name="features">Features (N, C, H, W).</param>
    /// <param name="intervals">Intervals of the same channels.</param>
    public static ChannelStatistics Of(Tensor features, IntervalTensors intervals)
    {
        using var _ = no_grad();
        var channels = (int)features.shape[1];
        var means = new double[channels][];
        var deviations = new double[channels][];
        for (var channel = 0; channel < channels; channel++)
        {
            (means[channel], deviations[channel]) = (new double[IntervalTable.MaxBits + 1], new double[IntervalTable.MaxBits + 1]);
            for (var bits = 0; bits <= IntervalTable.MaxBits; bits++)
            {
                using var scope = NewDisposeScope();
                var values = features.select(1, channel);
                var left = values - intervals.Quantize(values, channel, bits);
                means[channel][bits] = left.abs().mean().item<float>();
                deviations[channel][bits] = left.std(unbiased: false).item<float>();
            }
        }
        return new(means, deviations);
    }

    /// <summary>Rank of each number, 0 for the smallest. Equal numbers are ranked by their index.</summary>
    public static int[] Ranks(IReadOnlyList<double> values)
    {
        var ranks = new int[values.Count];
        var order = Enumerable.Range(0, values.Count).OrderBy(index => values[index]).ToArray();
        for (var rank = 0; rank < order.Length; rank++)
            ranks[order[rank]] = rank;
        return ranks;
    }
}
