namespace DQ.Core.Artifacts;

/// <summary>
/// How much worse reconstructions get without parts of the code. All codes are those of the whole model; only what the decoder is given
/// changes.
/// </summary>
/// <param name="Split">Whose images.</param>
/// <param name="Images">The first so many of it.</param>
/// <param name="Full">With everything.</param>
/// <param name="Levels">
/// With some levels only, the others' upsampled maps zeros (paper, figures 4 and 5): each level alone, and each prefix of levels from the top
/// down. Empty where there is one level.
/// </param>
/// <param name="Codebooks">
/// With one codebook's output replaced by its mean over the split, the frequencies of its codes taken from all images counted. Bottom level
/// first.
/// </param>
public sealed record AblationRecord(
    string Split,
    long Images,
    ReconstructionQuality Full,
    IReadOnlyList<PartialReconstruction> Levels,
    IReadOnlyList<CodebookAblation> Codebooks
);

/// <summary>Means over images.</summary>
/// <param name="ReconstructionNatsPerDim">−log p(x | what is left of the codes); null for squared error.</param>
/// <param name="PsnrDb">Of the mean image, each image first: at most 100 dB (docs/metrics.md).</param>
/// <param name="MeanSquaredError">Of the mean image, pixels scaled to [0, 1].</param>
public sealed record ReconstructionQuality(double? ReconstructionNatsPerDim, double PsnrDb, double MeanSquaredError);

/// <param name="Levels">Levels decoded, the lowest first.</param>
/// <param name="Quality">With them alone.</param>
public sealed record PartialReconstruction(IReadOnlyList<int> Levels, ReconstructionQuality Quality);

/// <param name="Level">0 is the bottom.</param>
/// <param name="Codebook">Within the level.</param>
/// <param name="Quality">Without it.</param>
/// <param name="AddedNatsPerDim">Nats per dimension more than with everything; null for squared error.</param>
/// <param name="LostPsnrDb">Decibel less than with everything.</param>
public sealed record CodebookAblation(int Level, int Codebook, ReconstructionQuality Quality, double? AddedNatsPerDim, double LostPsnrDb);
