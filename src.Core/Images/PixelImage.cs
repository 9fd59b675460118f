using static TorchSharp.torch;

namespace DQ.Core.Images;

/// <summary>One image of 8-bit pixels in planes.</summary>
/// <param name="Bytes">(C, H, W).</param>
/// <param name="Channels">1 (gray) or 3 (red, green, blue).</param>
/// <param name="Height">Height in pixels.</param>
/// <param name="Width">Width in pixels.</param>
public sealed record PixelImage(byte[] Bytes, int Channels, int Height, int Width)
{
    /// <summary>A black image.</summary>
    public PixelImage(int channels, int height, int width)
        : this(new byte[channels * height * width], channels, height, width) { }

    /// <summary>One plane (H, W).</summary>
    public Span<byte> Plane(int channel) => Bytes.AsSpan(channel * Height * Width, Height * Width);

    /// <summary>
    /// This image with 3 channels (gray repeated) or 1 (luma of Rec. 601: 0.299 R + 0.587 G + 0.114 B, rounded, exact on grays).
    /// </summary>
    public PixelImage WithChannels(int channels)
    {
        if (channels is not (1 or 3))
            throw new ArgumentOutOfRangeException(nameof(channels), channels, "expected 1 or 3");
        if (channels == Channels)
            return this;
        var result = new PixelImage(channels, Height, Width);
        if (channels == 3)
        {
            for (var channel = 0; channel < 3; channel++)
                Bytes.CopyTo(result.Plane(channel));
            return result;
        }

        Span<byte> red = Plane(0),
            green = Plane(1),
            blue = Plane(2);
        for (var i = 0; i < red.Length; i++)
            result.Bytes[i] = (byte)((299 * red[i] + 587 * green[i] + 114 * blue[i] + 500) / 1000);
        return result;
    }

    /// <summary>The images of a batch.</summary>
    /// <param name="pixels">uint8 (B, C, H, W).</param>
    public static PixelImage[] FromTensor(Tensor pixels)
    {
        if (pixels.dtype != ScalarType.Byte || pixels.dim() != 4)
            throw new ArgumentException(
                $"expected uint8 (B, C, H, W), got {pixels.dtype} ({string.Join(", ", pixels.shape)})",
                nameof(pixels)
            );
        using var cpu = pixels.cpu();
        using var dense = cpu.contiguous();
        var (channels, height, width) = ((int)pixels.shape[1], (int)pixels.shape[2], (int)pixels.shape[3]);
        var size = channels * height * width;
        var images = new PixelImage[pixels.shape[0]];
        for (var i = 0; i < images.Length; i++)
            images[i] = new PixelImage(dense.bytes.Slice(i * size, size).ToArray(), channels, height, width);
        return images;
    }
}
