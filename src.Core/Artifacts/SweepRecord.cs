using System.Text.Json.Nodes;

namespace DQ.Core.Artifacts;

/// <summary>Where a cell of a sweep stands.</summary>
public static class CellStatus
{
    /// <summary>Trained and evaluated.</summary>
    public const string Completed = "completed";
    public const string Failed = "failed";

    /// <summary>Somebody works on it.</summary>
    public const string Running = "running";

    /// <summary>Begun by somebody who is gone or was stopped.</summary>
    public const string Interrupted = "interrupted";
    public const string Waiting = "waiting";
}

/// <summary>
/// <c>sweep.json</c>: the runs of a grid or list of settings, and what they come to. Made again from runs, claims and failures whenever a
/// cell changes.
/// </summary>
public sealed record SweepRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;
    public required string Name { get; init; }

    /// <summary>Of all cells: settings, seeds and images.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>The split the numbers are of.</summary>
    public required string Split { get; init; }

    /// <summary>Dotted keys in which cells differ, besides the seed.</summary>
    public required IReadOnlyList<string> Keys { get; init; }
    public required IReadOnlyList<SweepCell> Cells { get; init; }

    /// <summary>One per setting, over its seeds.</summary>
    public required IReadOnlyList<SweepRow> Rows { get; init; }

    /// <summary>What was asked of the numbers; empty where nothing was.</summary>
    public required IReadOnlyList<SweepTrend> Trends { get; init; }
    public required DateTime UpdatedUtc { get; init; }
}

/// <summary>One run of a sweep.</summary>
public sealed record SweepCell
{
    /// <summary>From 0; the name of its folder under <c>cells/</c>, in three digits.</summary>
    public required int Index { get; init; }

    /// <summary>Values of the sweep's keys.</summary>
    public required JsonObject Settings { get; init; }
    public required long Seed { get; init; }

    /// <summary>One of <see cref="CellStatus"/>.</summary>
    public required string Status { get; init; }

    /// <summary>Id of the run where it is completed; null otherwise.</summary>
    public string? Run { get; init; }

    /// <summary>Why it failed; null otherwise.</summary>
    public string? Reason { get; init; }

    /// <summary>Who works on it; null where nobody does.</summary>
    public LockRecord? Owner { get; init; }
}

/// <summary>Equal settings, over their seeds.</summary>
public sealed record SweepRow
{
    /// <summary>Values of the sweep's keys.</summary>
    public required JsonObject Settings { get; init; }

    /// <summary>The metric that training minimized: <c>reconstruction_nats_per_dim</c>, <c>normalized_squared_error</c> or
    /// <c>cross_entropy_nats</c>.</summary>
    public required string Loss { get; init; }

    /// <summary>Indices of its cells.</summary>
    public required IReadOnlyList<int> Cells { get; init; }

    /// <summary>How many of them are completed.</summary>
    public required int Completed { get; init; }

    /// <summary>By name, which carries the unit; over the completed cells. A metric that is not defined for the loss is left out.</summary>
    public required IReadOnlyDictionary<string, SweepStatistic> Metrics { get; init; }

    /// <summary>What was published for these settings, by metric.</summary>
    public required IReadOnlyDictionary<string, PublishedValue> Published { get; init; }
}

/// <param name="Mean">Over the completed seeds.</param>
/// <param name="SampleDeviation">Sample standard deviation (n − 1); null for one seed.</param>
public sealed record SweepStatistic(double Mean, double? SampleDeviation);

/// <param name="Value">In the metric's unit.</param>
/// <param name="Source">Where it was published, such as <c>appendix, Table 1</c>.</param>
public sealed record PublishedValue(double Value, string Source);

/// <summary>Something published, looked for in the sweep's own numbers.</summary>
/// <param name="Name">As the configuration names it.</param>
/// <param name="Subject">What of the sweep it was looked for in, such as <c>depthwise</c>; empty for all of it.</param>
/// <param name="Claim">What is looked for, in words.</param>
/// <param name="Holds">Null where the completed cells can't say.</param>
/// <param name="Evidence">The numbers, one line each.</param>
public sealed record SweepTrend(string Name, string Subject, string Claim, bool? Holds, IReadOnlyList<string> Evidence);
