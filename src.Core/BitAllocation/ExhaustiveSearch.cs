namespace DQ.Core.BitAllocation;

/// <summary>Finds the true optimum of a small case by trying every allocation.</summary>
public static class ExhaustiveSearch
{
    /// Number of neighbours that are created at once. Otherwise the lists alone would fill the memory.
    private const int Chunk = 1024;

    /// <summary>All ways to give exactly this number of bits to this number of channels.</summary>
    public static IEnumerable<int[]> Allocations(int channels, int budget)
    {
        var bits = new int[channels];
        return Fill(0, budget);

        IEnumerable<int[]> Fill(int channel, int left)
        {
            if (left > (channels - channel) * IntervalTable.MaxBits)
                yield break;
            if (channel == channels)
            {
                yield return (int[])bits.Clone();
                yield break;
            }
            for (bits[channel] = Math.Min(left, IntervalTable.MaxBits); bits[channel] >= 0; bits[channel]--)
                foreach (var whole in Fill(channel + 1, left - bits[channel]))
                    yield return whole;
        }
    }

    /// <summary>The allocation with the least output error, this error, and the number of allocations tried.</summary>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static (int[] Bits, double Error, int Tried) Run(OutputError error, int budget, CancellationToken cancellation = default)
    {
        error.Set(BaselineAllocations.Equal(error.Channels, budget));
        var (best, least, tried) = (error.Bits.ToArray(), double.PositiveInfinity, 0);
        foreach (var chunk in Allocations(error.Channels, budget).Chunk(Chunk))
        {
            var errors = error.Of(
                [.. chunk.Select(allocation => allocation.Select((bits, channel) => new BitChange(channel, bits)).ToArray())],
                cancellation
            );
            tried += chunk.Length;
            var place = Array.IndexOf(errors, errors.Min());
            if (errors[place] < least)
                (best, least) = (chunk[place], errors[place]);
        }
        return (best, least, tried);
    }
}
