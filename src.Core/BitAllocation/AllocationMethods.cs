using DQ.Core.Artifacts;

namespace DQ.Core.BitAllocation;

/// <summary>An allocation of a budget, with the cost of finding it.</summary>
/// <param name="Bits">Bits by channel.</param>
/// <param name="OutputSquaredError">Output error on the images for which it was made.</param>
/// <param name="Evaluations">Allocations whose error was asked for.</param>
public record FoundAllocation(int[] Bits, double OutputSquaredError, long Evaluations);

/// <summary>The result of the greedy method.</summary>
/// <param name="Bits">Bits by channel.</param>
/// <param name="OutputSquaredError">Output error on the images for which it was made.</param>
/// <param name="Evaluations">Allocations whose error was asked for.</param>
/// <param name="GivenBits">Bits by channel before any were moved.</param>
/// <param name="GivenOutputSquaredError">Output error with these bits.</param>
/// <param name="Moved">Number of bits moved.</param>
public sealed record GreedyFound(
    int[] Bits,
    double OutputSquaredError,
    long Evaluations,
    int[] GivenBits,
    double GivenOutputSquaredError,
    int Moved
) : FoundAllocation(Bits, OutputSquaredError, Evaluations);

/// <summary>The methods by name. Each computes an allocation from an output error and a budget.</summary>
public static class AllocationMethods
{
    public const string Equal = AllocationRecord.EqualBits;
    public const string Random = "random";
    public const string TwoPass = "sensitivity";
    public const string Dynamic = "dynamic";
    public const string Greedy = "greedy";

    /// <summary>Their names in configurations.</summary>
    public static IReadOnlyList<string> Names { get; } = [Equal, Random, TwoPass, Dynamic, Greedy];

    /// <summary>Computes an allocation by a method that does not need the allocation of a smaller budget.</summary>
    /// <param name="method">One of <see cref="Names"/> except greedy.</param>
    /// <param name="error">Output error on the images for which the allocation is made. Afterwards it has the resulting allocation.</param>
    /// <param name="table">Interval table of the same channels.</param>
    /// <param name="budget">Bits of all channels.</param>
    /// <param name="seed">Seed of the random method.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static FoundAllocation Find(
        string method,
        OutputError error,
        IntervalTable table,
        int budget,
        long seed,
        CancellationToken cancellation = default
    )
    {
        var before = error.Evaluations;
        var bits = method switch
        {
            Equal => BaselineAllocations.Equal(error.Channels, budget),
            Random => BaselineAllocations.Random(error.Channels, budget, seed),
            TwoPass => BaselineAllocations.TwoPass(Sensitivity.Probe(error, 0, cancellation), budget),
            Dynamic => DynamicProgramme.Solve(
                Sensitivity.Model(table, error, Math.Clamp(budget / error.Channels, 1, IntervalTable.MaxBits), cancellation),
                budget
            ),
            _ => throw new ArgumentException($"expected a method without a path, got '{method}'", nameof(method)),
        };
        error.Set(bits);
        return new(bits, error.Current(), error.Evaluations - before);
    }

    /// <summary>The greedy allocation: gives bits, starting from those of a smaller budget, and then moves bits.</summary>
    /// <param name="error">As above.</param>
    /// <param name="statistics">Channel statistics of the same images.</param>
    /// <param name="settings">Settings of the greedy method.</param>
    /// <param name="start">Bits given for a smaller budget, before any were moved, so that a curve is one path. Null starts without
    /// bits.</param>
    /// <param name="budget">Bits of all channels.</param>
    /// <param name="progress">Receives the number of bits given so far.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static GreedyFound FindGreedy(
        OutputError error,
        ChannelStatistics statistics,
        GreedySettings settings,
        IReadOnlyList<int>? start,
        int budget,
        Action<int> progress,
        CancellationToken cancellation = default
    )
    {
        var before = error.Evaluations;
        var greedy = new GreedyAllocation(error, statistics, settings);
        var unmoved = greedy.Give(start ?? new int[error.Channels], budget, progress, cancellation);
        var unmovedError = error.Current();
        var (bits, moved) = greedy.Move(unmoved, cancellation);
        return new(bits, error.Current(), error.Evaluations - before, unmoved, unmovedError, moved);
    }
}
