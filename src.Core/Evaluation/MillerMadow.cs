namespace DQ.Core.Evaluation;

/// <summary>
/// Entropy from counts, in nats: the plug-in estimate −Σ p ln p, which is too low by about (cells in use − 1) / 2N, plus that.
/// </summary>
/// <remarks>
/// Source: Miller 1955, <i>Note on the bias of information estimates</i>. It corrects the first order only: with far fewer counts than
/// cells an entropy is still too low, and a mutual information made of three of them too high. Nor does it keep to the bounds of what it
/// estimates: an entropy can come out above ln K, and the mutual information of independent codes below 0.
/// </remarks>
public static class MillerMadow
{
    /// <summary>0 for no counts.</summary>
    public static double EntropyNats(ReadOnlySpan<int> counts)
    {
        var (total, cells, sum) = (0L, 0L, 0.0);
        foreach (var count in counts)
        {
            if (count == 0)
                continue;
            total += count;
            cells++;
            sum += count * Math.Log(count);
        }
        return total == 0 ? 0 : Math.Log(total) - sum / total + (cells - 1) / (2.0 * total);
    }
}
