using DQ.Core.Images;

namespace DQ.Core.Coding;

/// <summary>A picture that goes into a lossless file or comes out of one.</summary>
/// <param name="Name">Relative path with '/'; null where pictures are numbered.</param>
/// <param name="Colors">Gray or color.</param>
/// <param name="Alpha">Opacities, one channel of the same size; null where it has none.</param>
/// <param name="ModifiedTicks">When its file was last changed, in ticks of 100 ns since the year 1, UTC.</param>
/// <param name="Profile">ICC profile.</param>
public sealed record LosslessPicture(string? Name, PixelImage Colors, PixelImage? Alpha, long? ModifiedTicks, byte[]? Profile)
{
    /// <param name="joinsGray">Whether one channel is coded where all three are equal.</param>
    internal LosslessEntry Entry(bool joinsGray) =>
        new()
        {
            Name = Name,
            Width = Colors.Width,
            Height = Colors.Height,
            Channels = Colors.Channels,
            HasAlpha = Alpha != null,
            IsGrayColor = joinsGray && Colors.Channels == 3 && IsGray(),
            IsWhole = FlatCoder.IsExpected(Colors),
            ModifiedTicks = ModifiedTicks,
            Profile = Profile,
        };

    /// <summary>A picture of zeros for an entry.</summary>
    internal static LosslessPicture Blank(LosslessEntry entry) =>
        new(
            entry.Name,
            new PixelImage(entry.Channels, entry.Height, entry.Width),
            entry.HasAlpha ? new PixelImage(1, entry.Height, entry.Width) : null,
            entry.ModifiedTicks,
            entry.Profile
        );

    /// <summary>Copies rows of a plane into a chunk's pixels.</summary>
    internal void CopyTo(ContextPixels pixels, int index, ChunkPiece piece)
    {
        var (width, height, stride, origin) = pixels.Pieces[index];
        for (var channel = 0; channel < pixels.Channels; channel++)
        {
            var plane = (piece.IsAlpha ? Alpha! : Colors).Plane(channel);
            for (var row = 0; row < height; row++)
            {
                var source = plane.Slice((piece.FirstRow + row) * width, width);
                var target = pixels.Bytes.AsSpan(origin + row * stride + channel);
                for (var column = 0; column < width; column++)
                    target[column * pixels.Channels] = source[column];
            }
        }
        pixels.FillMargins(index);
    }

    /// <summary>Copies a chunk's pixels to where they belong.</summary>
    internal void CopyFrom(ContextPixels pixels, int index, ChunkPiece piece)
    {
        var (width, height, stride, origin) = pixels.Pieces[index];
        var image = piece.IsAlpha ? Alpha! : Colors;
        for (var channel = 0; channel < image.Channels; channel++)
        {
            var plane = image.Plane(channel);
            for (var row = 0; row < height; row++)
            {
                var target = plane.Slice((piece.FirstRow + row) * width, width);
                // one channel for all three where they are equal
                var source = pixels.Bytes.AsSpan(origin + row * stride + channel % pixels.Channels);
                for (var column = 0; column < width; column++)
                    target[column] = source[column * pixels.Channels];
            }
        }
    }

    private bool IsGray() => Colors.Plane(0).SequenceEqual(Colors.Plane(1)) && Colors.Plane(0).SequenceEqual(Colors.Plane(2));
}
