using DQ.Core.Artifacts;
using DQ.Core.Autoencoders;
using DQ.Core.Images;
using DQ.Core.Quantization;

namespace DQ.Core.Evaluation;

/// <summary>Collects the patches nearest to each code of a model, and draws them; see <see cref="AtlasRecord"/>.</summary>
public sealed class PatchAtlas
{
    /// Maximum number of patches per level: 8 patches of 10 codebooks of 512 codes.
    private const int MostPatches = 40960;

    /// Maximum width of a patch in pixels; larger patches are made smaller.
    private const int LargestWidth = 32;

    /// Approximate width of a sheet in pixels.
    private const int SheetWidth = 1024;

    private readonly AutoencoderSpec spec;
    private readonly NearestPatches[] levels;
    private long images;

    /// <param name="model">The model of the codes.</param>
    /// <param name="patchesPerCode">Maximum number of patches per code.</param>
    public PatchAtlas(HierarchicalAutoencoder model, int patchesPerCode)
    {
        spec = model.Spec;
        levels =
        [
            .. model.Quantizers.Select(quantizer =>
            {
                var fitting = Math.Clamp(MostPatches / (quantizer.Codebooks * quantizer.CodeCount), 1, patchesPerCode);
                return new NearestPatches(quantizer.Codebooks, quantizer.CodeCount, fitting);
            }),
        ];
    }

    /// <summary>Adds the next batch, quantized in evaluation mode, levels bottom first.</summary>
    public void Add(IReadOnlyList<Quantized> batch)
    {
        for (var level = 0; level < levels.Length; level++)
            levels[level].Add(batch[level], (int)images);
        images += batch[0].Indices.shape[0];
    }

    /// <summary>The record, the arrays and the sheets by file name.</summary>
    /// <param name="step">Step of the checkpoint.</param>
    /// <param name="split">The split of the images.</param>
    /// <param name="source">That split's images.</param>
    /// <param name="histograms">Counts of each code, by level.</param>
    public DrawnAtlas Draw(long step, string split, PackedImages source, IReadOnlyList<CodeHistogram> histograms)
    {
        var sheets = new List<(string File, PixelImage Sheet)>();
        var arrays = new Dictionary<string, Array>();
        var drawn = levels.Select((nearest, level) => Level(level, nearest, source, histograms[level], sheets, arrays)).ToArray();
        var record = new AtlasRecord
        {
            Step = step,
            Split = split,
            Images = images,
            Levels = drawn,
        };
        return new(record, arrays, sheets);
    }

    private AtlasLevel Level(
        int level,
        NearestPatches nearest,
        PackedImages source,
        CodeHistogram histogram,
        List<(string File, PixelImage Sheet)> sheets,
        Dictionary<string, Array> arrays
    )
    {
        var cell = spec.CellSide(level);
        var shown = Math.Min(2 * cell, LargestWidth);
        var count = Math.Min(histogram.CodeCount, Math.Max(1, MostPatches / (nearest.Codebooks * nearest.Patches)));
        var size = (nearest.Codebooks, count, nearest.Patches);
        var (imageOf, rowOf, columnOf, distanceOf) = (
            new int[size.Codebooks, count, size.Patches],
            new int[size.Codebooks, count, size.Patches],
            new int[size.Codebooks, count, size.Patches],
            new float[size.Codebooks, count, size.Patches]
        );
        for (var book = 0; book < size.Codebooks; book++)
        for (var place = 0; place < count; place++)
        for (var patch = 0; patch < size.Patches; patch++)
            imageOf[book, place, patch] = -1;
        var grid = spec.Grids(source.Height, source.Width)[level];
        var result = new AtlasLevel
        {
            Level = level,
            GridHeight = grid.Height,
            GridWidth = grid.Width,
            CellSidePixels = cell,
            PatchSidePixels = 2 * cell,
            ShownSidePixels = shown,
            PatchesPerCode = size.Patches,
            CodesAcross = Math.Clamp(SheetWidth / (size.Patches * shown), 1, count),
            Codebooks =
            [
                .. Enumerable
                    .Range(0, size.Codebooks)
                    .Select(book => new AtlasCodebook(book, $"level{level}-codebook{book}.png", MostUsed(histogram.Counts(book), count))),
            ],
        };
        foreach (var book in result.Codebooks)
        {
            var sheet = new PixelImage(
                source.Channels,
                (count + result.CodesAcross - 1) / result.CodesAcross * shown,
                result.CodesAcross * size.Patches * shown
            );
            for (var place = 0; place < count; place++)
                foreach (var (patch, (image, at, distance)) in nearest.Of(book.Codebook, book.Codes[place]).Index())
                {
                    var (row, column) = (at / grid.Width, at % grid.Width);
                    imageOf[book.Codebook, place, patch] = image;
                    rowOf[book.Codebook, place, patch] = row;
                    columnOf[book.Codebook, place, patch] = column;
                    distanceOf[book.Codebook, place, patch] = distance;
                    var (left, top) = result.At(place, patch);
                    Paste(
                        sheet,
                        left,
                        top,
                        AreaResize.Resize(Patch(source, image, row * cell - cell / 2, column * cell - cell / 2, 2 * cell), shown, shown)
                    );
                }
            sheets.Add((book.File, sheet));
        }
        arrays[$"level{level}.image"] = imageOf;
        arrays[$"level{level}.row"] = rowOf;
        arrays[$"level{level}.column"] = columnOf;
        arrays[$"level{level}.distance"] = distanceOf;
        return result;
    }

    /// The `count` most used codes, in order.
    private static int[] MostUsed(IReadOnlyList<long> uses, int count) =>
        [.. Enumerable.Range(0, uses.Count).OrderByDescending(code => uses[code]).Take(count).Order()];

    /// A square part of an image; black outside the image.
    private static PixelImage Patch(PackedImages source, int index, int top, int left, int width)
    {
        var patch = new PixelImage(source.Channels, width, width);
        var pixels = source[index];
        var (from, to) = (Math.Max(0, -left), Math.Min(width, source.Width - left));
        for (var channel = 0; channel < source.Channels; channel++)
        for (var y = Math.Max(0, -top); y < Math.Min(width, source.Height - top) && from < to; y++)
            pixels
                .Slice((channel * source.Height + top + y) * source.Width + left + from, to - from)
                .CopyTo(patch.Plane(channel)[(y * width + from)..]);
        return patch;
    }

    private static void Paste(PixelImage sheet, int left, int top, PixelImage patch)
    {
        for (var channel = 0; channel < sheet.Channels; channel++)
        for (var y = 0; y < patch.Height; y++)
            patch.Plane(channel).Slice(y * patch.Width, patch.Width).CopyTo(sheet.Plane(channel)[((top + y) * sheet.Width + left)..]);
    }
}

/// <param name="Record">Description of the sheets.</param>
/// <param name="Arrays">Arrays by name, int or float (M, S, P).</param>
/// <param name="Sheets">Images by file name.</param>
public sealed record DrawnAtlas(
    AtlasRecord Record,
    IReadOnlyDictionary<string, Array> Arrays,
    IReadOnlyList<(string File, PixelImage Sheet)> Sheets
);
