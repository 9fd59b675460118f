using DQ.Core.Autoencoders;
using DQ.Core.Images;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>
/// A model on pictures of any size in bounded memory: tile by tile, each with as much around it as its codes or pixels depend on. The
/// result is that of the whole picture, within the rounding of convolutions on other shapes. Pictures of one tile are not cut.
/// </summary>
/// <param name="model">Is put in evaluation mode.</param>
public sealed class TiledModel(HierarchicalAutoencoder model)
{
    /// Encoders work on maps of a quarter of the pixels and less, decoders on some with a hundred channels a pixel.
    private const int EncodingSide = 384;
    private const int DecodingSide = 192;

    /// <summary>Pixels of a core's side in encoding, and in decoding: the test of tiles makes them small.</summary>
    internal (int Encoding, int Decoding) Sides { get; init; } = (EncodingSide, DecodingSide);

    /// <summary>The picture's codes per level, bottom first, (1, M, H, W) int64 on the CPU.</summary>
    /// <param name="image">With the model's channels.</param>
    /// <param name="progress">Told the share of the work that is done, up to 1, after every tile; may throw to stop.</param>
    public IReadOnlyList<Tensor> Encode(PixelImage image, Action<double>? progress = null)
    {
        using var _ = no_grad();
        model.eval();
        var spec = model.Spec;
        var tiles = Tiles(image.Height, image.Width, Sides.Encoding, model.CodesReach);
        var levels = spec.Grids(image.Height, image.Width)
            .Select(grid => zeros([1, grid.Codebooks, grid.Height, grid.Width], ScalarType.Int64))
            .ToArray();
        foreach (var (index, tile) in tiles.Index())
        {
            using var scope = NewDisposeScope();
            foreach (var (level, codes) in model.Encode(Pixels(image, tile.Whole)).Index())
            {
                var cell = spec.CellSide(level);
                var (top, left) = ((tile.Core.Top - tile.Whole.Top) / cell, (tile.Core.Left - tile.Whole.Left) / cell);
                var target = Cells(tile.Core, spec, level);
                levels[level][.., .., target.Rows, target.Columns] = codes[.., .., Sized(top, target.Rows), Sized(left, target.Columns)]
                    .cpu();
            }
            progress?.Invoke((index + 1.0) / tiles.Count);
        }
        return levels;
    }

    /// <summary>The decoder's output for each tile of a picture: its place, and (1, likelihood's channels, H, W), which is the taker's.</summary>
    /// <param name="codes">As from <see cref="Encode"/>.</param>
    /// <param name="height">Of the picture.</param>
    /// <param name="width">Likewise.</param>
    /// <param name="progress">As there.</param>
    internal IEnumerable<(Area Place, Tensor Output)> Decode(
        IReadOnlyList<Tensor> codes,
        int height,
        int width,
        Action<double>? progress = null
    )
    {
        model.eval();
        var tiles = Tiles(height, width, Sides.Decoding, model.DecodingReach);
        foreach (var (index, tile) in tiles.Index())
        {
            yield return (tile.Core, Output(codes, tile));
            progress?.Invoke((index + 1.0) / tiles.Count);
        }
    }

    /// <summary>A part of a picture as (1, C, H, W) uint8 on the model's device.</summary>
    internal Tensor Pixels(PixelImage image, Area area)
    {
        var bytes = new byte[image.Channels * area.Height * area.Width];
        for (var channel = 0; channel < image.Channels; channel++)
        for (var row = 0; row < area.Height; row++)
            image
                .Plane(channel)
                .Slice((area.Top + row) * image.Width + area.Left, area.Width)
                .CopyTo(bytes.AsSpan((channel * area.Height + row) * area.Width));
        return tensor(bytes, [1, image.Channels, area.Height, area.Width], ScalarType.Byte, model.parameters().First().device);
    }

    /// <summary>The expected pixels that codes stand for, of a picture of this size; arguments as of <see cref="Decode"/>.</summary>
    public PixelImage Mean(IReadOnlyList<Tensor> codes, int height, int width, Action<double>? progress = null)
    {
        var picture = new PixelImage(model.Spec.ImageChannels, height, width);
        foreach (var (place, output) in Decode(codes, height, width, progress))
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            Put(picture, place, Reconstructions.Rounded(model.Likelihood.Mean(output)));
            output.Dispose();
        }
        return picture;
    }

    /// <summary>Copies (1, C, H, W) uint8 to its place.</summary>
    internal static void Put(PixelImage picture, Area place, Tensor pixels)
    {
        var part = PixelImage.FromTensor(pixels)[0];
        for (var channel = 0; channel < picture.Channels; channel++)
        for (var row = 0; row < place.Height; row++)
            part.Plane(channel)
                .Slice(row * place.Width, place.Width)
                .CopyTo(picture.Plane(channel)[((place.Top + row) * picture.Width + place.Left)..]);
    }

    private IReadOnlyList<Tile> Tiles(int height, int width, int side, int reach)
    {
        var step = model.Spec.SideDivisor;
        return Tile.Of(height, width, (side + step - 1) / step * step, reach, step);
    }

    private Tensor Output(IReadOnlyList<Tensor> codes, Tile tile)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var device = model.parameters().First().device;
        var parts = codes.Select(
            (level, number) =>
            {
                var cells = Cells(tile.Whole, model.Spec, number);
                return level[.., .., cells.Rows, cells.Columns].to(device);
            }
        );
        var output = model.Decode([.. parts], tile.Whole.Height, tile.Whole.Width);
        var (top, left) = (tile.Core.Top - tile.Whole.Top, tile.Core.Left - tile.Whole.Left);
        return output[.., .., top..(top + tile.Core.Height), left..(left + tile.Core.Width)].contiguous().MoveToOuterDisposeScope();
    }

    /// The cells of a level that an area has, those of the picture's padding among them.
    private static (Range Rows, Range Columns) Cells(Area area, AutoencoderSpec spec, int level)
    {
        var cell = spec.CellSide(level);
        return ((area.Top / cell)..(spec.PaddedSide(area.Bottom) / cell), (area.Left / cell)..(spec.PaddedSide(area.Right) / cell));
    }

    private static Range Sized(int start, Range like) => start..(start + like.End.Value - like.Start.Value);
}
