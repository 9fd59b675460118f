namespace DQ.Core.Artifacts;

/// <summary>
/// <c>codes/atlas.json</c>: for each code the patches of images whose vectors it is nearest to, among those that chose it; at most one
/// patch of an image per code. Pictures are sheets beside it, one per codebook; where the patches are from is in <see cref="Tensors"/>.
/// </summary>
/// <remarks>
/// A patch is the square of pixels around the cell of the grid that chose the code: the cell and half of it on every side, black beyond the
/// image. (What a code can depend on reaches farther: an encoder's theoretical receptive field often covers a small image.)
/// Arrays of level l, with S codes shown per codebook and P patches per code: <c>level{l}.image</c> int32 (M, S, P), the index within the
/// split, −1 where fewer patches chose the code; <c>level{l}.row</c>, <c>level{l}.column</c> int32, of the cell in the grid;
/// <c>level{l}.distance</c> float32, squared distance of vector and code per channel. Patches are ordered from the nearest on.
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

    /// <summary>Images looked at, the first of the split.</summary>
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

    /// <summary>Side of a cell of the grid, in pixels of the image.</summary>
    public required int CellSidePixels { get; init; }

    /// <summary>Side of a patch, in pixels of the image.</summary>
    public required int PatchSidePixels { get; init; }

    /// <summary>Side of a patch in the sheets, in pixels: smaller than the former where patches were shrunk.</summary>
    public required int ShownSidePixels { get; init; }

    /// <summary>Patches P per code; places of codes with fewer are black.</summary>
    public required int PatchesPerCode { get; init; }

    /// <summary>Codes side by side in a row of a sheet, each P patches wide.</summary>
    public required int CodesAcross { get; init; }

    /// <summary>By codebook.</summary>
    public required IReadOnlyList<AtlasCodebook> Codebooks { get; init; }

    /// <summary>Where a patch is in its sheet, in pixels from the top left.</summary>
    /// <param name="place">Of the code in <see cref="AtlasCodebook.Codes"/>.</param>
    /// <param name="patch">0 is the nearest.</param>
    public (int Left, int Top) At(int place, int patch) =>
        ((place % CodesAcross * PatchesPerCode + patch) * ShownSidePixels, place / CodesAcross * ShownSidePixels);
}

/// <param name="Codebook">Within the level.</param>
/// <param name="File">Its sheet.</param>
/// <param name="Codes">
/// The S codes shown, in the order of the sheet and of the arrays: all K in order, or the most used where there are too many to show.
/// </param>
public sealed record AtlasCodebook(int Codebook, string File, IReadOnlyList<int> Codes);
