namespace DQ.Core.BitAllocation;

/// <summary>Finds exactly the minimum of a sum of channel errors, for a given number of bits.</summary>
/// <remarks>
/// L_c(n) = min over b of L_{c−1}(n − b) + e_c(b); channels × budget × bit counts steps. It is optimal only for this model, which ignores
/// interactions between channels' errors in the network's output. A Lagrangian method finds points on the lower hull of the same curve.
/// </remarks>
public static class DynamicProgramme
{
    /// <param name="errors">Errors by channel, then bits from 0.</param>
    /// <param name="budget">Bits of all channels; all are given.</param>
    /// <exception cref="ArgumentOutOfRangeException">More bits than the channels can take.</exception>
    public static int[] Solve(IReadOnlyList<double[]> errors, int budget)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(budget, errors.Sum(row => row.Length - 1));
        var least = new double[budget + 1];
        Array.Fill(least, double.PositiveInfinity);
        least[0] = 0;
        var chosen = new byte[errors.Count][];
        for (var channel = 0; channel < errors.Count; channel++)
        {
            var row = errors[channel];
            var next = new double[budget + 1];
            Array.Fill(next, double.PositiveInfinity);
            chosen[channel] = new byte[budget + 1];
            for (var total = 0; total <= budget; total++)
            for (var bits = 0; bits < row.Length && bits <= total; bits++)
                if (least[total - bits] + row[bits] < next[total])
                    (next[total], chosen[channel][total]) = (least[total - bits] + row[bits], (byte)bits);
            least = next;
        }
        var result = new int[errors.Count];
        for (var (channel, left) = (errors.Count - 1, budget); channel >= 0; channel--)
            left -= result[channel] = chosen[channel][left];
        return result;
    }
}
