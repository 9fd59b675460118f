using DQ.Core.Autoencoders;
using DQ.Core.Evaluation;
using DQ.Core.Images;
using static TorchSharp.torch;

namespace DQ.Core.Codes;

/// <summary>Turns images into the codes of a model, and codes into images. Axis legend: B batch, M codebooks, H W height and width of a
/// level's grid.</summary>
public static class ModelCodes
{
    /// <summary>The header for a model's codes of images.</summary>
    /// <param name="model">The model of the codes.</param>
    /// <param name="run">The run of the model, if there is one.</param>
    /// <param name="count">Number of images.</param>
    /// <param name="sizes">One size for all images, or one per image.</param>
    /// <param name="names">One name per image, or none.</param>
    public static CodesHeader Header(
        HierarchicalAutoencoder model,
        string? run,
        int count,
        IReadOnlyList<ImageSize> sizes,
        IReadOnlyList<string> names
    ) =>
        new()
        {
            Model = ModelFingerprint.Of(model),
            Run = run,
            Channels = model.Spec.ImageChannels,
            Levels = Levels(model),
            Count = count,
            Sizes = sizes,
            Names = names,
        };

    /// <summary>The code indices of each image of a batch: per level, bottom first, a flat array of (M, H, W).</summary>
    /// <param name="model">A model in evaluation mode.</param>
    /// <param name="pixels">uint8 (B, C, H, W).</param>
    public static int[][][] Encode(HierarchicalAutoencoder model, Tensor pixels)
    {
        using var scope = NewDisposeScope();
        return Arrays(model.Encode(pixels.to(model.parameters().First().device)));
    }

    /// <summary>Code indices (B, M, H, W) int64 per level as arrays, per image and level.</summary>
    internal static int[][][] Arrays(IReadOnlyList<Tensor> codes)
    {
        var levels = codes.Select(Numbers).ToArray();
        return [.. Enumerable.Range(0, levels[0].Length).Select(image => levels.Select(level => level[image]).ToArray())];
    }

    /// <summary>The codes of one image with the model's channels, tile by tile where it is large (<see cref="TiledModel"/>).</summary>
    /// <param name="model">Is put in evaluation mode.</param>
    /// <param name="image">With the model's channels.</param>
    /// <param name="progress">Told the share of the work that is done, up to 1; may throw to stop.</param>
    public static int[][] Encode(HierarchicalAutoencoder model, PixelImage image, Action<double>? progress = null)
    {
        using var scope = NewDisposeScope();
        return [.. new TiledModel(model).Encode(image, progress).Select(level => Numbers(level)[0])];
    }

    /// <summary>The picture an image's codes stand for: the expected pixels, of the image's own size.</summary>
    /// <param name="model">In evaluation mode.</param>
    /// <param name="header">Of codes of this model, see <see cref="Mismatch"/>.</param>
    /// <param name="image">Its number.</param>
    /// <param name="levels">Its codes, as from <see cref="CodesFile.Read"/>.</param>
    /// <param name="progress">Told the share of the work that is done, up to 1; may throw to stop.</param>
    public static PixelImage Decode(
        HierarchicalAutoencoder model,
        CodesHeader header,
        int image,
        int[][] levels,
        Action<double>? progress = null
    )
    {
        using var scope = NewDisposeScope();
        var codes = levels.Select(
            (indices, level) =>
            {
                var (height, width) = header.Grid(image, level);
                return tensor(indices, ScalarType.Int64).view(1, header.Levels[level].Codebooks, height, width);
            }
        );
        var size = header.Size(image);
        return new TiledModel(model).Mean([.. codes], size.Height, size.Width, progress);
    }

    /// <summary>The reason why codes do not belong to this model; null if they do.</summary>
    public static string? Mismatch(HierarchicalAutoencoder model, CodesHeader header)
    {
        if (!header.Levels.SequenceEqual(Levels(model)) || header.Channels != model.Spec.ImageChannels)
            return $"expected {Describe(Levels(model), model.Spec.ImageChannels)}, found {Describe(header.Levels, header.Channels)}";
        var fingerprint = ModelFingerprint.Of(model);
        return fingerprint == header.Model ? null : $"its codes are those of model {header.Model[..12]}…, not of {fingerprint[..12]}…";
    }

    /// <summary>The shape of a model's codes, bottom level first.</summary>
    internal static CodesLevel[] Levels(HierarchicalAutoencoder model) =>
        [
            .. model.Quantizers.Select(
                (quantizer, level) =>
                    new CodesLevel(
                        quantizer.CodeCount,
                        quantizer.Codebooks,
                        PackedIndices.Bits(quantizer.CodeCount),
                        model.Spec.CellSide(level)
                    )
            ),
        ];

    private static string Describe(IReadOnlyList<CodesLevel> levels, int channels) =>
        $"codes of {channels}-channel images at {levels.Count} levels ({string.Join(", ", levels.Select(level => $"{level.Codebooks} × {level.CodeCount} per {level.Cell} pixels"))})";

    /// (B, M, H, W) int64 to B arrays.
    private static int[][] Numbers(Tensor codes)
    {
        using var numbers = codes.to_type(ScalarType.Int32).cpu().contiguous();
        return [.. numbers.data<int>().ToArray().Chunk((int)(numbers.numel() / numbers.shape[0]))];
    }
}
