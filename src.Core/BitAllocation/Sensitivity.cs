namespace DQ.Core.BitAllocation;

/// <summary>How much the output minds each channel, asked one channel at a time with all others as they are.</summary>
public static class Sensitivity
{
    /// <summary>Output error with one channel alone at so many bits, by channel; afterwards no channel is quantized.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static double[] Probe(OutputError error, int bits, CancellationToken cancellation = default)
    {
        error.Set([.. Enumerable.Repeat(OutputError.Exact, error.Channels)]);
        return error.Of([.. Enumerable.Range(0, error.Channels).Select(channel => new[] { new BitChange(channel, bits) })], cancellation);
    }

    /// <summary>
    /// The additive model Σ s_c·e_c(b): squared errors of the table, weighted by the output error that a channel's own error makes.
    /// </summary>
    /// <param name="table">Has e_c.</param>
    /// <param name="error">Asked at these bits: s_c is its answer over e_c there, 0 for a channel without error.</param>
    /// <param name="bits">About as many as channels will have: the weight holds for errors of that size.</param>
    /// <param name="cancellation">Looked at before every batch.</param>
    /// <returns>By channel, then bits.</returns>
    public static double[][] Model(IntervalTable table, OutputError error, int bits, CancellationToken cancellation = default)
    {
        var costs = Probe(error, bits, cancellation);
        return
        [
            .. costs.Select(
                (cost, channel) =>
                {
                    var own = table.SquaredErrors[error.ChannelOf(channel)];
                    var weight = own[bits] > 0 ? cost / own[bits] : 0;
                    return own.Select(squared => weight * squared).ToArray();
                }
            ),
        ];
    }
}
