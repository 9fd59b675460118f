using System.Text.Json.Nodes;

namespace DQ.Core.Artifacts;

/// <summary>Numbers from a publication, to stand beside those of a sweep.</summary>
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
    /// <summary>Which table or passage.</summary>
    public required string Source { get; init; }

    /// <summary>Name of the metric here, which carries the unit.</summary>
    public required string Metric { get; init; }

    /// <summary>The unit it was printed with.</summary>
    public required string PrintedUnit { get; init; }

    /// <summary>What is doubtful or corrected, in words; null for nothing.</summary>
    public string? Remark { get; init; }

    /// <summary>Dotted keys and values that all of its numbers are for.</summary>
    public required JsonObject Settings { get; init; }

    /// <summary>By column: dotted keys and values.</summary>
    public required IReadOnlyDictionary<string, JsonObject> Columns { get; init; }
    public required IReadOnlyList<PublishedRow> Rows { get; init; }
}

/// <param name="Settings">Dotted keys and values.</param>
/// <param name="Values">By column; null where the print is missing or can't be read.</param>
public sealed record PublishedRow(JsonObject Settings, IReadOnlyDictionary<string, double?> Values);
