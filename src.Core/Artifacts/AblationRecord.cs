namespace DQ.Core.Artifacts;

/// <summary>
/// How much worse reconstructions are without parts of the codes. All codes are those of the whole model; only the decoder's input changes.
/// </summary>
/// <param name="Split">Split of the images.</param>
/// <param name="Images">Number of images, the first of the split.</param>
/// <param name="Full">Quality with all codes.</param>
/// <param name="Levels">
/// Quality with some levels only; the upsampled maps of the others are zero (paper, figures 4 and 5). Each level alone, and each prefix of
/// levels from the top down. Empty if there is one level.
/// </param>
/// <param name="Codebooks">
/// Quality with one codebook's output replaced by its mean over the split. The frequencies of its codes are those of all counted images.
/// Bottom level first.
/// </param>
public sealed record AblationRecord(
    string Split,
    long Images,
    ReconstructionQuality Full,
    IReadOnlyList<PartialReconstruction> Levels,
    IReadOnlyList<CodebookAblation> Codebooks
);

/// <summary>Means over images.</summary>
/// <param name="ReconstructionNatsPerDim">−log p(x | remaining codes); null for squared error.</param>
/// <param name="PsnrDb">PSNR of the mean image, per image at most 100 dB, averaged over images (docs/metrics.md).</param>
/// <param name="MeanSquaredError">Squared error of the mean image, for pixels scaled to [0, 1].</param>
public sealed record ReconstructionQuality(double? ReconstructionNatsPerDim, double PsnrDb, double MeanSquaredError);

/// <param name="Levels">Levels decoded, the lowest first.</param>
/// <param name="Quality">Quality with these levels alone.</param>
public sealed record PartialReconstruction(IReadOnlyList<int> Levels, ReconstructionQuality Quality);

/// <param name="Level">0 is the bottom.</param>
/// <param name="Codebook">Number of the codebook within the level.</param>
/// <param name="Quality">Quality without this codebook.</param>
/// <param name="AddedNatsPerDim">Additional nats per dimension, compared with all codes; null for squared error.</param>
/// <param name="LostPsnrDb">Loss of PSNR in decibel, compared with all codes.</param>
public sealed record CodebookAblation(int Level, int Codebook, ReconstructionQuality Quality, double? AddedNatsPerDim, double LostPsnrDb);
