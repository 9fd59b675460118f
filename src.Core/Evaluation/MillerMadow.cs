namespace DQ.Core.Evaluation;

/// <summary>
/// Entropy from counts, in nats: the plug-in estimate −Σ p ln p, plus its approximate bias (cells in use − 1) / 2N.
/// </summary>
/// <remarks>
/// Source: Miller 1955, <i>Note on the bias of information estimates</i>. It corrects only the first order of the bias. With far fewer
/// counts than cells an entropy is still too low, and a mutual information computed from three of them is too high. The estimate can also
/// exceed the bounds of the true value: an entropy can be above ln K, and the mutual information of independent codes below 0.
/// </remarks>
public static class MillerMadow
{
    /// <summary>The estimated entropy in nats; 0 if there are no counts.</summary>
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
