namespace DQ.Core.Artifacts;

/// <summary>
/// <c>codebooks.json</c>: statistics of a run's codebooks on whole splits. Arrays are in <see cref="Tensors"/> beside it, under the
/// names listed here; <see cref="Formats.SafeTensorsFile.ReadArray{T}"/> reads them without libtorch.
/// </summary>
public sealed record CodebooksRecord : IArtifact
{
    /// <summary>File of the arrays, beside this one.</summary>
    public const string Tensors = "codebooks.safetensors";

    public static int CurrentSchema => 2;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Step of the checkpoint evaluated.</summary>
    public required long Step { get; init; }

    /// <summary>Splits by name: <c>train</c>, <c>validation</c>, <c>test</c>.</summary>
    public required IReadOnlyDictionary<string, SplitCodebooks> Splits { get; init; }

    /// <summary>The losses without a codebook or a level; null if none was tried.</summary>
    public AblationRecord? Ablation { get; init; }
}

/// <param name="Images">Number of images whose codes were counted.</param>
/// <param name="Levels">Levels, bottom first.</param>
public sealed record SplitCodebooks(long Images, IReadOnlyList<LevelCodebooks> Levels);

/// <summary>The M codebooks of a level on a split. Entropies and information are in nats.</summary>
public sealed record LevelCodebooks
{
    /// <summary>0 is the bottom, the finest.</summary>
    public required int Level { get; init; }

    /// <summary>Number of codebooks M.</summary>
    public required int Codebooks { get; init; }

    /// <summary>Code count K.</summary>
    public required int Codes { get; init; }

    public required int GridHeight { get; init; }

    public required int GridWidth { get; init; }

    /// <summary>Number of positions counted per codebook: images × grid height × grid width.</summary>
    public required long Positions { get; init; }

    /// <summary>Name of the array of counts of each code, int64 (M, K).</summary>
    public required string Histogram { get; init; }

    /// <summary>
    /// Name of the array of entropies over images at each position (paper, figure 3), Miller–Madow, float64 (M, H, W); null if its counts
    /// would not fit in memory.
    /// </summary>
    public string? EntropyMap { get; init; }

    /// <summary>
    /// Name of the array of mutual information between codebooks at the same position, Miller–Madow, float64 (M, M), symmetric, with the
    /// entropies on its diagonal. For independent codebooks the values are near 0, above or below. Null if the counts of pairs of codes
    /// would not fit in memory.
    /// </summary>
    public string? MutualInformation { get; init; }

    /// <summary>
    /// Name of the array of 2·I(X; Y) / (H(X) + H(Y)), clamped to 0 … 1, float64 (M, M), with ones on its diagonal; null if the mutual
    /// information is null.
    /// </summary>
    public string? NormalizedMutualInformation { get; init; }
}
