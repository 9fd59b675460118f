using static TorchSharp.torch;

namespace DQ.Core.Images;

/// <summary>Draws many images in one picture, such as reconstructions below their originals.</summary>
public static class ImageGrid
{
    private const byte Background = 255;

    /// <summary>Lays images out row by row. Gray and colour images can be mixed. Every cell has the size of the largest image.</summary>
    /// <param name="images">At least one.</param>
    /// <param name="columns">Images per row.</param>
    /// <param name="padding">White pixels between and around the images.</param>
    /// <param name="zoom">Factor by which width and height are enlarged, so that small images are visible.</param>
    public static PixelImage Tile(IReadOnlyList<PixelImage> images, int columns, int padding = 2, int zoom = 1)
    {
        if (images.Count == 0)
            throw new ArgumentException("expected at least one image, got none", nameof(images));
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        ArgumentOutOfRangeException.ThrowIfNegative(padding);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(zoom);
        var channels = images.Max(image => image.Channels);
        var (cellHeight, cellWidth) = (
            images.Max(image => image.Height) * zoom + padding,
            images.Max(image => image.Width) * zoom + padding
        );
        var rows = (images.Count + columns - 1) / columns;
        var grid = new PixelImage(channels, rows * cellHeight + padding, Math.Min(columns, images.Count) * cellWidth + padding);
        Array.Fill(grid.Bytes, Background);
        for (var i = 0; i < images.Count; i++)
        {
            var image = images[i].WithChannels(channels);
            var (top, left) = (i / columns * cellHeight + padding, i % columns * cellWidth + padding);
            for (var channel = 0; channel < channels; channel++)
            for (var y = 0; y < image.Height * zoom; y++)
            {
                var source = image.Plane(channel).Slice(y / zoom * image.Width, image.Width);
                var target = grid.Plane(channel).Slice((top + y) * grid.Width + left, image.Width * zoom);
                for (var x = 0; x < target.Length; x++)
                    target[x] = source[x / zoom];
            }
        }

        return grid;
    }

    /// <summary>One row per batch, one column per image: the same images in different versions.</summary>
    /// <param name="rows">Batches (B, C, H, W) uint8 with the same B.</param>
    /// <param name="padding">As in <see cref="Tile"/>.</param>
    /// <param name="zoom">As in <see cref="Tile"/>.</param>
    public static PixelImage Rows(IReadOnlyList<Tensor> rows, int padding = 2, int zoom = 1)
    {
        var counts = rows.Select(row => row.shape[0]).Distinct().ToArray();
        if (counts.Length != 1)
            throw new ArgumentException($"expected rows of as many images each, got {string.Join(", ", counts)}", nameof(rows));
        return Tile([.. rows.SelectMany(PixelImage.FromTensor)], (int)counts[0], padding, zoom);
    }
}
