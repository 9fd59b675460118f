using System.Text.Json.Nodes;

namespace DQ.Core.Artifacts;

/// <summary>Numbers from a publication, for comparison with those of a sweep.</summary>
public sealed record PublishedResults : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>The publication.</summary>
    public required string Publication { get; init; }
    public required IReadOnlyList<PublishedTable> Tables { get; init; }
}

/// <summary>Numbers of one kind that were published together.</summary>
public sealed record PublishedTable
{
    /// <summary>The table or passage.</summary>
    public required string Source { get; init; }

    /// <summary>Name of the metric in this program, which contains the unit.</summary>
    public required string Metric { get; init; }

    /// <summary>The unit in which it was printed.</summary>
    public required string PrintedUnit { get; init; }

    /// <summary>Doubts and corrections, in words; null if there are none.</summary>
    public string? Remark { get; init; }

    /// <summary>Dotted keys and values that all of its numbers have in common.</summary>
    public required JsonObject Settings { get; init; }

    /// <summary>Dotted keys and values by column.</summary>
    public required IReadOnlyDictionary<string, JsonObject> Columns { get; init; }
    public required IReadOnlyList<PublishedRow> Rows { get; init; }
}

/// <param name="Settings">Dotted keys and values of the row.</param>
/// <param name="Values">Values by column; null if a number is missing or can't be read in print.</param>
public sealed record PublishedRow(JsonObject Settings, IReadOnlyDictionary<string, double?> Values);
