using System.Text.Json.Serialization;

namespace DQ.Core.Artifacts;

/// <summary>
/// <c>samples.json</c>: images and their reconstructions, with one sheet of pictures per view beside it. The file in <c>images/</c> belongs
/// to the evaluation, the file in <c>images/steps/00000100/</c> to the training step in its name.
/// </summary>
/// <remarks>
/// A sheet is a PNG with image i at column <c>i mod columns</c>, row <c>i / columns</c>, each in the image's own size, without gaps.
/// <c>reconstructions.png</c> has the same images enlarged, side by side, for viewing without the program.
/// </remarks>
public sealed record SamplesRecord : IArtifact
{
    public static int CurrentSchema => 2;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Step of the checkpoint.</summary>
    public required long Step { get; init; }
    public required string Split { get; init; }

    /// <summary>Channels of an image: 1 (gray) or 3.</summary>
    public required int Channels { get; init; }

    /// <summary>Height of an image, in pixels.</summary>
    public required int Height { get; init; }

    /// <summary>Width of an image, in pixels.</summary>
    public required int Width { get; init; }

    /// <summary>Number of images in a row of a sheet.</summary>
    public required int Columns { get; init; }

    /// <summary>Images in the order of the sheets.</summary>
    public required IReadOnlyList<SampleImage> Images { get; init; }

    /// <summary>The originals first, then the full reconstruction, then those from a part of the codes.</summary>
    public required IReadOnlyList<SampleView> Views { get; init; }

    /// <summary>The full reconstruction.</summary>
    [JsonIgnore]
    public SampleView Full => Views.Single(view => view.Kind == SampleView.FullKind);

    /// <summary>The reconstruction from these levels alone; null if there is none. With all levels it is the full reconstruction.</summary>
    public SampleView? OfLevels(params int[] levels) =>
        Views.FirstOrDefault(view =>
            view.Kind is SampleView.FullKind or SampleView.LevelsKind && view.Levels.Order().SequenceEqual(levels.Order())
        );

    /// <summary>The reconstruction without a codebook; null if there is none.</summary>
    public SampleView? Without(int level, int codebook) => Views.FirstOrDefault(view => view.Without == new CodebookPlace(level, codebook));
}

/// <param name="Index">Index within the split.</param>
/// <param name="Selection">
/// Why the image was chosen: <c>first</c> of the split, or among those with the lowest (<c>worst</c>) or highest (<c>best</c>) PSNR of the
/// full reconstruction of all evaluated images, the most extreme first.
/// </param>
public sealed record SampleImage(int Index, string Selection);

/// <summary>One way to reconstruct. Lists of numbers have an entry per image.</summary>
public sealed record SampleView
{
    public const string OriginalKind = "original";
    public const string FullKind = "full";
    public const string LevelsKind = "levels";
    public const string AblationKind = "ablation";

    /// <summary>The sheet's file without its <c>.png</c>: <c>original</c>, <c>full</c>, <c>levels-1</c>, <c>levels-1-2</c>,
    /// <c>without-0-3</c>.</summary>
    public required string Name { get; init; }

    /// <summary><c>original</c>, <c>full</c>, <c>levels</c> (from some levels only) or <c>ablation</c> (without one codebook).</summary>
    public required string Kind { get; init; }

    /// <summary>Levels decoded, the lowest first; none for the originals.</summary>
    public required IReadOnlyList<int> Levels { get; init; }

    /// <summary>The codebook whose output is replaced by its mean; null except for an ablation.</summary>
    public CodebookPlace? Without { get; init; }

    /// <summary>PSNR of the mean image, at most 100 dB (docs/metrics.md); null for the originals.</summary>
    public IReadOnlyList<double>? PsnrDb { get; init; }

    /// <summary>−log p(x|z); null for the originals and for squared error.</summary>
    public IReadOnlyList<double>? ReconstructionNatsPerDim { get; init; }

    /// <summary>The sheet's file.</summary>
    [JsonIgnore]
    public string File => $"{Name}.png";
}

/// <param name="Level">0 is the bottom.</param>
/// <param name="Codebook">Number of the codebook within the level.</param>
public sealed record CodebookPlace(int Level, int Codebook);
