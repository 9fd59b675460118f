namespace DQ.Core.BitAllocation;

/// <summary>Allocations for comparison. All give exactly the budget, 0 to <see cref="IntervalTable.MaxBits"/> bits to each
/// channel.</summary>
public static class BaselineAllocations
{
    /// <summary>Equal bits for all channels; the remainder goes to evenly spaced channels.</summary>
    public static int[] Equal(int channels, int budget) =>
        [.. Enumerable.Range(0, channels).Select(channel => (int)((channel + 1L) * budget / channels - channel * (long)budget / channels))];

    /// <summary>Every bit goes to a random channel among those with fewer than the maximum of bits.</summary>
    public static int[] Random(int channels, int budget, long seed)
    {
        var bits = new int[channels];
        var open = Enumerable.Range(0, channels).ToList();
        var random = new SplitMix64(seed, budget);
        for (var spent = 0; spent < budget; spent++)
        {
            var place = random.Next(open.Count);
            if (++bits[open[place]] == IntervalTable.MaxBits)
                open.RemoveAt(place);
        }
        return bits;
    }

    /// <summary>
    /// Two passes, after Hu et al., <i>Sensitivity-aware bit allocation for intermediate deep feature compression</i> (VCIP 2020):
    /// every channel is degraded alone, and sensitive ones get more bits.
    /// </summary>
    /// <remarks>
    /// Here a channel is degraded by removing all its bits. Every bit is assumed to divide the resulting cost by four, as for a uniform
    /// quantizer. The next bit goes to the channel with the largest remaining cost.
    /// </remarks>
    /// <param name="costs">Output error with this channel alone at 0 bits (<see cref="Sensitivity.Probe"/>).</param>
    /// <param name="budget">Bits of all channels.</param>
    public static int[] TwoPass(IReadOnlyList<double> costs, int budget)
    {
        var bits = new int[costs.Count];
        var left = new PriorityQueue<int, double>();
        for (var channel = 0; channel < costs.Count; channel++)
            left.Enqueue(channel, -costs[channel]);
        for (var spent = 0; spent < budget; spent++)
        {
            var channel = left.Dequeue();
            if (++bits[channel] < IntervalTable.MaxBits)
                left.Enqueue(channel, -costs[channel] * Math.Pow(0.25, bits[channel]));
        }
        return bits;
    }
}
