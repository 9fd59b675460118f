namespace DQ.Core.BitAllocation;

/// <summary>How sensitive the output is to each channel, measured for one channel at a time; the others are not quantized.</summary>
public static class Sensitivity
{
    /// <summary>Output error if only one channel is quantized, with this number of bits; by channel. Afterwards no channel is
    /// quantized.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static double[] Probe(OutputError error, int bits, CancellationToken cancellation = default)
    {
        error.Set([.. Enumerable.Repeat(OutputError.Exact, error.Channels)]);
        return error.Of([.. Enumerable.Range(0, error.Channels).Select(channel => new[] { new BitChange(channel, bits) })], cancellation);
    }

    /// <summary>
    /// The additive model Σ s_c·e_c(b): squared errors of the table, weighted by the output error that a channel's error causes.
    /// </summary>
    /// <param name="table">The table with e_c.</param>
    /// <param name="error">The output error: s_c is its value with these bits divided by e_c, or 0 for a channel without error.</param>
    /// <param name="bits">About the number of bits that channels will have, because the weight is valid for errors of that size.</param>
    /// <param name="cancellation">Checked before every batch.</param>
    /// <returns>Errors by channel, then bits.</returns>
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
