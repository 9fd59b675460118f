namespace DQ.Core.Artifacts;

/// <summary>
/// <c>codebooks.json</c>: what the codebooks of a run learned, on whole splits. Arrays are in <see cref="Tensors"/> beside it, under the
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

    /// <summary>By name: <c>train</c>, <c>validation</c>, <c>test</c>.</summary>
    public required IReadOnlyDictionary<string, SplitCodebooks> Splits { get; init; }

    /// <summary>What is lost without a codebook or a level; null where none was tried.</summary>
    public AblationRecord? Ablation { get; init; }
}

/// <param name="Images">Images whose codes were counted.</param>
/// <param name="Levels">Bottom first.</param>
public sealed record SplitCodebooks(long Images, IReadOnlyList<LevelCodebooks> Levels);

/// <summary>The M codebooks of a level on a split. Entropies and information are in nats.</summary>
public sealed record LevelCodebooks
{
    /// <summary>0 is the bottom, the finest.</summary>
    public required int Level { get; init; }

    /// <summary>M.</summary>
    public required int Codebooks { get; init; }

    /// <summary>K.</summary>
    public required int Codes { get; init; }

    public required int GridHeight { get; init; }

    public required int GridWidth { get; init; }

    /// <summary>Codes counted per codebook: images × grid height × grid width.</summary>
    public required long Positions { get; init; }

    /// <summary>Name of the array of times chosen, int64 (M, K).</summary>
    public required string Histogram { get; init; }

    /// <summary>
    /// Name of the array of entropies over images at each position (paper, figure 3), Miller–Madow, float64 (M, H, W); null where its
    /// counts would not fit in memory.
    /// </summary>
    public string? EntropyMap { get; init; }

    /// <summary>
    /// Name of the array of mutual information between codebooks at the same position, Miller–Madow, float64 (M, M), symmetric, the
    /// entropies on its diagonal. What is independent comes out near 0, on either side of it. Null where the counts of pairs of codes would
    /// not fit in memory.
    /// </summary>
    public string? MutualInformation { get; init; }

    /// <summary>
    /// Name of the array of 2·I(X; Y) / (H(X) + H(Y)), cut to 0 … 1, float64 (M, M), ones on its diagonal; null with the former.
    /// </summary>
    public string? NormalizedMutualInformation { get; init; }
}
