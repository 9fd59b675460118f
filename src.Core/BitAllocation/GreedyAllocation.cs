using DQ.Core.Artifacts;

namespace DQ.Core.BitAllocation;

/// <summary>
/// Statistics-guided allocation with inference: every bit goes to that one of a few channels which reduces the true output error most. Then
/// bits move from the least to the most useful channels as long as this reduces the error.
/// </summary>
/// <remarks>
/// Priority is α·rank(mean) + β·rank(deviation) of a channel's quantization error with its present bits (<see cref="ChannelStatistics"/>).
/// Without bits the error is the whole channel (for the uniform quantizer, the distance from its mean), as published. If priorities never
/// changed, the same few channels would be the candidates until all of them have the maximum of bits.
/// </remarks>
public sealed class GreedyAllocation(OutputError error, ChannelStatistics statistics, GreedySettings settings)
{
    /// A move must reduce the error by more than rounding errors.
    private const double Gain = 1e-4;

    /// Number of best donors and best receivers, of which every pair is tried.
    private const int Crossed = 8;

    /// <summary>Gives bits until the sum is <paramref name="budget"/>. Afterwards the error has the resulting allocation.</summary>
    /// <param name="start">Bits at the start: none, or those of a smaller budget.</param>
    /// <param name="budget">Bits of all channels together.</param>
    /// <param name="progress">Receives the number of bits given so far.</param>
    /// <param name="cancellation">Checked before every bit.</param>
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

    /// <summary>Moves bits as long as this reduces the error. Afterwards the error has the resulting allocation.</summary>
    /// <remarks>
    /// A round computes the error with one bit less and with one bit more for every channel. It pairs the channels that lose least with
    /// those that gain most. It applies the first 1, 2, 4, … pairs, whichever number has the least error, or the best single pair of a few
    /// donors and receivers. It begins from equal bits if these have less error than the given bits.
    /// </remarks>
    /// <param name="start">Bits at the start.</param>
    /// <param name="cancellation">Checked before every batch.</param>
    /// <returns>The bits, and the number of bits moved.</returns>
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

    /// The channels of highest priority that can take another bit.
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

    /// Changes of one bit in every channel that allows it, sorted by error, the least first.
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

    /// The first 1, 2, 4, … pairs of the best donor with the best receiver and so on; then single pairs of the first few.
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

    /// Pairs the best donor with the best receiver, and so on; no channel occurs twice.
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
