namespace DQ.Core.Artifacts;

/// <summary><c>samples.json</c> beside pictures of reconstructions: what they show.</summary>
public sealed record SamplesRecord : IArtifact
{
    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Step of the checkpoint.</summary>
    public required long Step { get; init; }
    public required string Split { get; init; }

    /// <summary>Indices within the split, in the order of the pictures.</summary>
    public required IReadOnlyList<int> Indices { get; init; }

    /// <summary>Rows of the grid, top to bottom, such as <c>original</c>, <c>full</c>, <c>level 1 alone (top)</c>.</summary>
    public required IReadOnlyList<string> Rows { get; init; }
}
