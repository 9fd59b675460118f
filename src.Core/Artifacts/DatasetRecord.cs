namespace DQ.Core.Artifacts;

/// <summary><c>dataset.json</c>: a packed data set. It is written last: if it exists, the other files are complete.</summary>
public sealed record DatasetRecord : IArtifact
{
    /// <summary>File name of the record inside a data set's folder.</summary>
    public const string FileName = "dataset.json";

    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    public required string Name { get; init; }

    /// <summary>Kind of source, by its name in configurations.</summary>
    public required string Source { get; init; }

    /// <summary>Folder, file or zip from which it was read; null for procedural images.</summary>
    public required string? SourcePath { get; init; }

    /// <summary>Fingerprint of the source's content and of every setting that determines the packed bytes.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Name and version of the program that drew the images; null for images that were read.</summary>
    public required string? Generator { get; init; }

    public required int Channels { get; init; }

    /// <summary>Pixels.</summary>
    public required int Height { get; init; }

    /// <summary>Pixels.</summary>
    public required int Width { get; init; }

    /// <summary>Names by label; empty when the images have no classes.</summary>
    public required IReadOnlyList<string> ClassNames { get; init; }

    public required DatasetSplit Train { get; init; }

    public required DatasetSplit Validation { get; init; }

    public required DatasetSplit Test { get; init; }

    /// <summary>Mean per channel of the train split, pixel values in [0, 1].</summary>
    public required IReadOnlyList<double> TrainMean { get; init; }

    /// <summary>Standard deviation per channel of the train split, pixel values in [0, 1].</summary>
    public required IReadOnlyList<double> TrainStd { get; init; }

    /// <summary>The rule that made the splits, in words.</summary>
    public required string SplitRule { get; init; }

    public required long SplitSeed { get; init; }

    /// <summary>Number of files that could not be decoded and are in no split.</summary>
    public required IReadOnlyList<CorruptImage> CorruptImages { get; init; }

    /// <summary>Number of packed images that were cropped or resized.</summary>
    public required int ResizedImages { get; init; }

    /// <summary>Number of packed images that were gray in a data set of colour images.</summary>
    public required int GrayImages { get; init; }

    /// <summary>Number of files beside the images that are not of a known image type, and were not read.</summary>
    public required int OtherFiles { get; init; }

    /// <summary>Notes for readers of the numbers, one line each: links not followed, classes without training images.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Splits by the name of their files.</summary>
    public IEnumerable<(string Name, DatasetSplit Split)> Splits() => [("train", Train), ("validation", Validation), ("test", Test)];
}

/// <param name="Count">Number of images.</param>
/// <param name="Images">Raw bytes (N, C, H, W).</param>
/// <param name="Labels">Little-endian int32 (N); null without classes.</param>
public sealed record DatasetSplit(int Count, PackedFile Images, PackedFile? Labels);

/// <param name="File">Name of the file inside the data set's folder.</param>
/// <param name="Bytes">Length in bytes.</param>
/// <param name="Sha256">SHA-256 in lower-case hexadecimal.</param>
public sealed record PackedFile(string File, long Bytes, string Sha256);

/// <param name="Name">File inside the source.</param>
/// <param name="Problem">Problem of the file.</param>
public sealed record CorruptImage(string Name, string Problem);
