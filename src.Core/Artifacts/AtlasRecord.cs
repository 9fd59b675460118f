namespace DQ.Core.Artifacts;

/// <summary>
/// <c>codes/atlas.json</c>: for each code the image patches whose vectors are nearest to it, among those that chose it; at most one patch
/// of an image per code. The pictures are in sheets beside this file, one per codebook. <see cref="Tensors"/> has the origins of the
/// patches.
/// </summary>
/// <remarks>
/// A patch is the square of pixels around the cell of the grid that chose the code: the cell and half a cell on every side, black outside
/// the image. (A code can depend on more: an encoder's theoretical receptive field often covers a small image.) Arrays of level l, with S
/// codes shown per codebook and P patches per code: <c>level{l}.image</c> int32 (M, S, P), the index within the split, −1 if fewer patches
/// chose the code; <c>level{l}.row</c>, <c>level{l}.column</c> int32, of the cell in the grid; <c>level{l}.distance</c> float32, squared
/// distance between vector and code per channel. The nearest patch is the first.
/// </remarks>
public sealed record AtlasRecord : IArtifact
{
    public const string FileName = "atlas.json";

    /// <summary>File of the arrays, beside this one.</summary>
    public const string Tensors = "atlas.safetensors";

    public static int CurrentSchema => 1;

    public int Schema { get; init; } = CurrentSchema;

    /// <summary>Step of the checkpoint.</summary>
    public required long Step { get; init; }
    public required string Split { get; init; }

    /// <summary>Number of images that were used, the first of the split.</summary>
    public required long Images { get; init; }

    /// <summary>Bottom first.</summary>
    public required IReadOnlyList<AtlasLevel> Levels { get; init; }
}

/// <summary>The patches of a level's codes.</summary>
public sealed record AtlasLevel
{
    /// <summary>0 is the bottom.</summary>
    public required int Level { get; init; }
    public required int GridHeight { get; init; }
    public required int GridWidth { get; init; }

    /// <summary>Width of a cell of the grid, in pixels of the image.</summary>
    public required int CellSidePixels { get; init; }

    /// <summary>Width of a patch, in pixels of the image.</summary>
    public required int PatchSidePixels { get; init; }

    /// <summary>Width of a patch in the sheets, in pixels; less than the width in the image if patches were made smaller.</summary>
    public required int ShownSidePixels { get; init; }

    /// <summary>Patches P per code; missing patches are black.</summary>
    public required int PatchesPerCode { get; init; }

    /// <summary>Number of codes in a row of a sheet; each takes the width of P patches.</summary>
    public required int CodesAcross { get; init; }

    /// <summary>The sheets by codebook.</summary>
    public required IReadOnlyList<AtlasCodebook> Codebooks { get; init; }

    /// <summary>Position of a patch in its sheet, in pixels from the top left.</summary>
    /// <param name="place">Index of the code in <see cref="AtlasCodebook.Codes"/>.</param>
    /// <param name="patch">Number of the patch; 0 is the nearest.</param>
    public (int Left, int Top) At(int place, int patch) =>
        ((place % CodesAcross * PatchesPerCode + patch) * ShownSidePixels, place / CodesAcross * ShownSidePixels);
}

/// <param name="Codebook">Number of the codebook within the level.</param>
/// <param name="File">File name of its sheet.</param>
/// <param name="Codes">
/// The S codes shown, in the order of the sheet and of the arrays: all K in order, or the most used ones if there are too many.
/// </param>
public sealed record AtlasCodebook(int Codebook, string File, IReadOnlyList<int> Codes);
