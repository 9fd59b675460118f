using System.Text.Json.Nodes;

namespace DQ.Core.Artifacts;

/// <summary>Status of a cell of a sweep.</summary>
public static class CellStatus
{
    /// <summary>Trained and evaluated.</summary>
    public const string Completed = "completed";
    public const string Failed = "failed";

    /// <summary>A process works on it.</summary>
    public const string Running = "running";

    /// <summary>Begun by a process that died or was stopped.</summary>
    public const string Interrupted = "interrupted";
    public const string Waiting = "waiting";
}

/// <summary>
/// <c>sweep.json</c>: the runs of a grid or list of settings, and their results. It is computed again from runs, claims and failures
/// whenever a cell changes.
/// </summary>
public sealed record SweepRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;
    public required string Name { get; init; }

    /// <summary>Fingerprint of all cells: settings, seeds and images.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Split of the numbers.</summary>
    public required string Split { get; init; }

    /// <summary>Dotted keys in which cells differ, besides the seed.</summary>
    public required IReadOnlyList<string> Keys { get; init; }
    public required IReadOnlyList<SweepCell> Cells { get; init; }

    /// <summary>One group per setting, over its seeds.</summary>
    public required IReadOnlyList<SweepRow> Rows { get; init; }

    /// <summary>The published trends that were tested; empty if there are none.</summary>
    public required IReadOnlyList<SweepTrend> Trends { get; init; }
    public required DateTime UpdatedUtc { get; init; }
}

/// <summary>One run of a sweep.</summary>
public sealed record SweepCell
{
    /// <summary>Number of the cell, from 0; in three digits the name of its folder under <c>cells/</c>.</summary>
    public required int Index { get; init; }

    /// <summary>Values of the sweep's keys.</summary>
    public required JsonObject Settings { get; init; }
    public required long Seed { get; init; }

    /// <summary>One of <see cref="CellStatus"/>.</summary>
    public required string Status { get; init; }

    /// <summary>Id of the run if it is completed; null otherwise.</summary>
    public string? Run { get; init; }

    /// <summary>Reason of its failure; null otherwise.</summary>
    public string? Reason { get; init; }

    /// <summary>The process that works on it; null if none does.</summary>
    public LockRecord? Owner { get; init; }
}

/// <summary>Cells with equal settings, over their seeds.</summary>
public sealed record SweepRow
{
    /// <summary>Values of the sweep's keys.</summary>
    public required JsonObject Settings { get; init; }

    /// <summary>The metric that training minimized: <c>reconstruction_nats_per_dim</c>, <c>normalized_squared_error</c> or
    /// <c>cross_entropy_nats</c>.</summary>
    public required string Loss { get; init; }

    /// <summary>Indices of its cells.</summary>
    public required IReadOnlyList<int> Cells { get; init; }

    /// <summary>Number of completed cells.</summary>
    public required int Completed { get; init; }

    /// <summary>Metrics of the completed cells, by name, which contains the unit. A metric that is not defined for the loss is left
    /// out.</summary>
    public required IReadOnlyDictionary<string, SweepStatistic> Metrics { get; init; }

    /// <summary>Published values for these settings, by metric.</summary>
    public required IReadOnlyDictionary<string, PublishedValue> Published { get; init; }
}

/// <param name="Mean">Mean over the completed seeds.</param>
/// <param name="SampleDeviation">Sample standard deviation (n − 1); null for one seed.</param>
public sealed record SweepStatistic(double Mean, double? SampleDeviation);

/// <param name="Value">Value in the metric's unit.</param>
/// <param name="Source">Place of publication, such as <c>appendix, Table 1</c>.</param>
public sealed record PublishedValue(double Value, string Source);

/// <summary>A published trend, tested with the sweep's own numbers.</summary>
/// <param name="Name">Name of the trend in the configuration.</param>
/// <param name="Subject">The part of the sweep that was tested, such as <c>depthwise</c>; empty for the whole sweep.</param>
/// <param name="Claim">The trend in words.</param>
/// <param name="Holds">Whether the trend holds; null if the completed cells do not decide it.</param>
/// <param name="Evidence">The numbers, one line each.</param>
public sealed record SweepTrend(string Name, string Subject, string Claim, bool? Holds, IReadOnlyList<string> Evidence);
