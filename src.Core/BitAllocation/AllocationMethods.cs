using DQ.Core.Artifacts;

namespace DQ.Core.BitAllocation;

/// <summary>An allocation of a budget and how it came about.</summary>
/// <param name="Bits">By channel.</param>
/// <param name="OutputSquaredError">On the images it was made on.</param>
/// <param name="Evaluations">Allocations whose error was asked for.</param>
public record FoundAllocation(int[] Bits, double OutputSquaredError, long Evaluations);

/// <summary>What the greedy method found.</summary>
/// <param name="Bits">By channel.</param>
/// <param name="OutputSquaredError">On the images it was made on.</param>
/// <param name="Evaluations">Allocations whose error was asked for.</param>
/// <param name="GivenBits">Before bits were moved.</param>
/// <param name="GivenOutputSquaredError">With them.</param>
/// <param name="Moved">Bits moved.</param>
public sealed record GreedyFound(
    int[] Bits,
    double OutputSquaredError,
    long Evaluations,
    int[] GivenBits,
    double GivenOutputSquaredError,
    int Moved
) : FoundAllocation(Bits, OutputSquaredError, Evaluations);

/// <summary>The methods by name, each from an output error and a budget to an allocation.</summary>
public static class AllocationMethods
{
    public const string Equal = AllocationRecord.EqualBits;
    public const string Random = "random";
    public const string TwoPass = "sensitivity";
    public const string Dynamic = "dynamic";
    public const string Greedy = "greedy";

    /// <summary>What configurations call them.</summary>
    public static IReadOnlyList<string> Names { get; } = [Equal, Random, TwoPass, Dynamic, Greedy];

    /// <summary>An allocation by one of the methods that need no path.</summary>
    /// <param name="method">One of <see cref="Names"/> but greedy.</param>
    /// <param name="error">On the images the allocation is made on; stands at the result afterwards.</param>
    /// <param name="table">Of the same channels.</param>
    /// <param name="budget">Bits of all channels.</param>
    /// <param name="seed">Of the random one.</param>
    /// <param name="cancellation">Looked at between batches.</param>
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

    /// <summary>The greedy allocation: bits given, from those of a smaller budget on, then moved.</summary>
    /// <param name="error">As above.</param>
    /// <param name="statistics">Of the same images.</param>
    /// <param name="settings">How it chooses.</param>
    /// <param name="start">Bits given for a smaller budget, not yet moved; so that a curve is one path. Null starts at none.</param>
    /// <param name="budget">Bits of all channels.</param>
    /// <param name="progress">Told how many bits are given.</param>
    /// <param name="cancellation">Looked at between batches.</param>
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
