using DQ.Core.Artifacts;

namespace DQ.Core.BitAllocation;

/// <summary>
/// Statistics-guided allocation with inference: every bit goes to the one of a few channels that lowers the true output error most;
/// then bits move from the least to the most useful channels while that helps.
/// </summary>
/// <remarks>
/// Priority is α·rank(mean) + β·rank(deviation) of what is left of a channel with the bits it has (<see cref="ChannelStatistics"/>).
/// Without bits that is all of a channel (under the uniform quantizer, its distance from the mean), as published. With
/// priorities that never change the same few channels would be the candidates until all of them are full.
/// </remarks>
public sealed class GreedyAllocation(OutputError error, ChannelStatistics statistics, GreedySettings settings)
{
    /// A move must lower the error by more than rounding does.
    private const double Gain = 1e-4;

    /// Of so many of the best givers and takers every pair is tried.
    private const int Crossed = 8;

    /// <summary>Gives bits until there are <paramref name="budget"/> of them; the error then stands at the result.</summary>
    /// <param name="start">Bits to begin from: none, or those of a smaller budget.</param>
    /// <param name="budget">Bits of all channels together.</param>
    /// <param name="progress">Told how many are given.</param>
    /// <param name="cancellation">Looked at before every bit.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public int[] Give(IReadOnlyList<int> start, int budget, Action<int> progress, CancellationToken cancellation = default)
    {
        error.Set(start);
        for (var spent = start.Sum(); spent < budget; spent++)
        {
            var candidates = Candidates().Select(channel => new BitChange(channel, error.Bits[channel] + 1)).ToArray();
            var errors = error.Of([.. candidates.Select(change => new[] { change })], cancellation);
            error.Apply(candidates[Least(errors)]);
            progress(spent + 1);
        }
        return [.. error.Bits];
    }

    /// <summary>Moves bits while that lowers the error, which then stands at the result.</summary>
    /// <remarks>
    /// A round asks for the error with one bit less and with one bit more of every channel, pairs those that lose least
    /// with those that gain most, and takes as many pairs, of 1, 2, 4, …, as give the least error together, or the best single
    /// pair of a few givers and takers. It begins from equal bits where these have less error than what was given.
    /// </remarks>
    /// <param name="start">Bits to begin from.</param>
    /// <param name="cancellation">Looked at before every batch.</param>
    /// <returns>The bits, and how many were moved.</returns>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public (int[] Bits, int Moved) Move(IReadOnlyList<int> start, CancellationToken cancellation = default)
    {
        error.Set(start);
        var (current, moved) = (error.Current(), 0);
        var equal = BaselineAllocations.Equal(error.Channels, start.Sum());
        if (error.Of(equal) is var other && other < current)
        {
            error.Set(equal);
            current = other;
        }
        for (var round = 0; round < settings.MoveRounds; round++)
        {
            var givers = Sorted(-1, channel => error.Bits[channel] > 0, cancellation);
            var takers = Sorted(+1, channel => error.Bits[channel] < IntervalTable.MaxBits, cancellation);
            var moves = Moves(givers, takers);
            if (moves.Count == 0)
                break;
            var errors = error.Of(moves, cancellation);
            var best = Least(errors);
            if (!(errors[best] < current * (1 - Gain)))
                break;
            foreach (var change in moves[best])
                error.Apply(change);
            (current, moved) = (errors[best], moved + moves[best].Length / 2);
        }
        return ([.. error.Bits], moved);
    }

    /// The channels of highest priority that have room.
    private IEnumerable<int> Candidates()
    {
        var all = Enumerable.Range(0, error.Channels).ToArray();
        double Left(double[][] table, int channel) => table[error.ChannelOf(channel)][error.Bits[channel]];
        var means = ChannelStatistics.Ranks([.. all.Select(channel => Left(statistics.Means, channel))]);
        var deviations = ChannelStatistics.Ranks([.. all.Select(channel => Left(statistics.Deviations, channel))]);
        return all.Where(channel => error.Bits[channel] < IntervalTable.MaxBits)
            .OrderByDescending(channel => settings.Alpha * means[channel] + settings.Beta * deviations[channel])
            .Take(settings.Reserve);
    }

    /// Changes of one bit in every channel where that is possible, those with the least error first.
    private BitChange[] Sorted(int bits, Func<int, bool> possible, CancellationToken cancellation)
    {
        var changes = Enumerable
            .Range(0, error.Channels)
            .Where(possible)
            .Select(channel => new BitChange(channel, error.Bits[channel] + bits))
            .ToArray();
        var errors = error.Of([.. changes.Select(change => new[] { change })], cancellation);
        Array.Sort(errors, changes);
        return changes;
    }

    /// The first pairs of the best giver with the best taker and so on, as many as 1, 2, 4, …; then single pairs of the first few.
    private static List<BitChange[]> Moves(BitChange[] givers, BitChange[] takers)
    {
        var pairs = Pairs(givers, takers);
        List<BitChange[]> moves = [];
        for (var count = 1; count <= pairs.Count; count = count == pairs.Count ? count + 1 : Math.Min(2 * count, pairs.Count))
            moves.Add([.. pairs.Take(count).SelectMany(pair => new[] { pair.Giver, pair.Taker })]);
        foreach (var giver in givers.Take(Crossed))
        foreach (var taker in takers.Take(Crossed))
            if (giver.Channel != taker.Channel)
                moves.Add([giver, taker]);
        return moves;
    }

    /// The best giver with the best taker, and so on; no channel twice.
    private static List<(BitChange Giver, BitChange Taker)> Pairs(BitChange[] givers, BitChange[] takers)
    {
        List<(BitChange, BitChange)> pairs = [];
        HashSet<int> used = [];
        var next = 0;
        foreach (var giver in givers)
        {
            if (used.Contains(giver.Channel))
                continue;
            while (next < takers.Length && (used.Contains(takers[next].Channel) || takers[next].Channel == giver.Channel))
                next++;
            if (next == takers.Length)
                break;
            used.Add(giver.Channel);
            used.Add(takers[next].Channel);
            pairs.Add((giver, takers[next]));
        }
        return pairs;
    }

    private static int Least(double[] errors) => Array.IndexOf(errors, errors.Min());
}
