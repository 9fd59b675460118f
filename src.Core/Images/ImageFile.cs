using SkiaSharp;

namespace DQ.Core.Images;

/// <summary>
/// PNG, JPEG and WebP files, recognized by content, not by name. Pixel values are read as stored, without colour management, as is usual in
/// machine learning. So a lossless file is read exactly.
/// </summary>
public static class ImageFile
{
    /// <summary>File extensions of images, in lower case.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [".png", ".jpg", ".jpeg", ".webp"];

    /// <summary>
    /// Default maximum of an image's pixels, 8192 × 8192. Decoding takes up to ten bytes per pixel.
    /// </summary>
    public const long DefaultMaxPixels = 1L << 26;

    /// Images with more pixels are decoded one at a time, whatever the number of threads.
    private const long LargePixels = 1L << 24;

    private static readonly Lock Large = new();

    /// <summary>Maximum bytes of a file with this number of pixels: four uncompressed channels of 16 bits, and other data.</summary>
    public static long MostBytes(long maxPixels) => (8 * Math.Min(maxPixels, 1L << 40)) + (64L << 20);

    /// <summary>Reads an image file; see <see cref="Decode"/>.</summary>
    /// <exception cref="InvalidDataException">The file is not a complete image of a known format, or is too large; the message names
    /// it.</exception>
    /// <exception cref="IOException">The file can't be read.</exception>
    public static PixelImage Read(string path, long maxPixels = DefaultMaxPixels)
    {
        try
        {
            if (RegularFile.WhyNot(path) is { } other)
                throw new InvalidDataException($"expected a file, found {other}");
            return Decode(RegularFile.ReadAllBytes(path, MostBytes(maxPixels)), maxPixels);
        }
        catch (InvalidDataException problem)
        {
            throw new InvalidDataException($"{path}: {problem.Message}", problem);
        }
    }

    /// <summary>
    /// Decodes an image with its own number of channels: 1 for a gray file, else 3. Transparent pixels are composited on white;
    /// a camera's orientation is applied; more than 8 bits are reduced to 8.
    /// </summary>
    /// <param name="content">The whole file.</param>
    /// <param name="maxPixels">Maximum of height times width; the header is checked before memory is allocated.</param>
    /// <exception cref="InvalidDataException">Not a complete image of a known format, or too large. The message has what was expected,
    /// without the file's name.</exception>
    public static PixelImage Decode(byte[] content, long maxPixels = DefaultMaxPixels) => Opened(content, maxPixels, Pixels);

    /// <summary>
    /// Decodes an image without loss: the alpha channel is separate, and the profile is returned as stored. A camera's orientation is
    /// applied.
    /// </summary>
    /// <param name="content">The whole file.</param>
    /// <param name="maxPixels">Maximum of height times width; the header is checked before memory is allocated.</param>
    /// <exception cref="InvalidDataException">As for <see cref="Decode"/>, or the image has more than 8 bits per channel.</exception>
    public static StoredImage DecodeStored(byte[] content, long maxPixels = DefaultMaxPixels)
    {
        if (PngMetadata.BitsPerChannel(content) is > 8 and var bits)
            throw new InvalidDataException($"expected 8 bits a channel, got {bits}");
        return Opened(content, maxPixels, StoredPixels);
    }

    private static T Opened<T>(byte[] content, long maxPixels, Func<SKCodec, byte[], T> decode)
    {
        using var stream = new MemoryStream(content, writable: false);
        using var codec =
            SKCodec.Create(stream, out _) ?? throw new InvalidDataException($"expected a PNG, JPEG or WebP image, got {Describe(content)}");
        if (codec.EncodedFormat is not (SKEncodedImageFormat.Png or SKEncodedImageFormat.Jpeg or SKEncodedImageFormat.Webp))
            throw new InvalidDataException($"expected a PNG, JPEG or WebP image, got {codec.EncodedFormat}");
        var pixels = (long)codec.Info.Width * codec.Info.Height;
        if (pixels > maxPixels)
            throw new InvalidDataException(
                $"expected at most {maxPixels} pixels (data.max_pixels), got {codec.Info.Width} × {codec.Info.Height}"
            );
        if (pixels > MostPixels(content, codec))
            throw new InvalidDataException(
                $"expected a whole {codec.EncodedFormat} image, got a damaged one: its {content.Length} bytes can't hold the {codec.Info.Width} × {codec.Info.Height} pixels it claims"
            );
        if (pixels <= LargePixels)
            return decode(codec, content);
        lock (Large)
            return decode(codec, content);
    }

    /// Maximum number of pixels that this number of bytes can hold. PNG: deflate makes at most 1032 bytes of one. JPEG: at least one bit
    /// for each block of 64 pixels; half of that, to be safe. A WebP file of one colour has a few bytes for any size.
    private static long MostPixels(byte[] content, SKCodec codec)
    {
        if (codec.EncodedFormat == SKEncodedImageFormat.Jpeg)
            return 1024L * content.Length;
        if (codec.EncodedFormat != SKEncodedImageFormat.Png || PngMetadata.BitsPerPixel(content) is not { } bits)
            return long.MaxValue;
        return 1032L * 8 * content.Length / bits;
    }

    private static PixelImage Pixels(SKCodec codec, byte[] content)
    {
        using var bitmap = Bitmap(codec);
        return Orient(Planes(bitmap, IsGray(codec) ? 1 : 3), Origin(codec, content));
    }

    private static StoredImage StoredPixels(SKCodec codec, byte[] content)
    {
        using var bitmap = Bitmap(codec);
        var origin = Origin(codec, content);
        var colors = Plane(bitmap, 0, IsGray(codec) ? 1 : 3);
        var alpha = codec.Info.AlphaType == SKAlphaType.Opaque ? null : Plane(bitmap, 3, 1);
        return new StoredImage(Orient(colors, origin), alpha == null ? null : Orient(alpha, origin), IccProfile.Of(content));
    }

    private static bool IsGray(SKCodec codec) => codec.Info.ColorType == SKColorType.Gray8;

    private static SKBitmap Bitmap(SKCodec codec)
    {
        var info = new SKImageInfo(codec.Info.Width, codec.Info.Height, SKColorType.Rgba8888, SKAlphaType.Unpremul);
        var bitmap = new SKBitmap(info);
        var result = codec.GetPixels(info, bitmap.GetPixels());
        if (result == SKCodecResult.Success)
            return bitmap;
        bitmap.Dispose();
        throw new InvalidDataException($"expected a whole {codec.EncodedFormat} image, got a damaged one ({result})");
    }

    private static SKEncodedOrigin Origin(SKCodec codec, byte[] content)
    {
        var origin = codec.EncodedOrigin;
        // the decoder applies Exif only in JPEG and WebP
        return codec.EncodedFormat == SKEncodedImageFormat.Png && origin == SKEncodedOrigin.TopLeft
            ? (SKEncodedOrigin)PngMetadata.Orientation(content)
            : origin;
    }

    /// Copies the channels of a bitmap without a change.
    private static PixelImage Plane(SKBitmap bitmap, int first, int channels)
    {
        var image = new PixelImage(channels, bitmap.Height, bitmap.Width);
        var pixels = bitmap.GetPixelSpan();
        for (var row = 0; row < image.Height; row++)
        for (var column = 0; column < image.Width; column++)
        for (var channel = 0; channel < channels; channel++)
            image.Bytes[(channel * image.Height + row) * image.Width + column] = pixels[
                row * bitmap.RowBytes + 4 * column + first + channel
            ];
        return image;
    }

    /// <summary>Encodes as PNG, exactly.</summary>
    public static byte[] EncodePng(PixelImage image) => EncodePng(new StoredImage(image, null, null));

    /// <summary>Encodes as PNG, exactly, with alpha channel and profile.</summary>
    public static byte[] EncodePng(StoredImage stored)
    {
        var (image, alpha, profile) = stored;
        var gray = image.Channels == 1 && alpha == null;
        var alphaType = alpha == null ? SKAlphaType.Opaque : SKAlphaType.Unpremul;
        using var bitmap = new SKBitmap(image.Width, image.Height, gray ? SKColorType.Gray8 : SKColorType.Rgba8888, alphaType);
        var pixels = bitmap.GetPixelSpan();
        for (var row = 0; row < image.Height; row++)
        {
            var target = pixels.Slice(row * bitmap.RowBytes, bitmap.RowBytes);
            for (var column = 0; column < image.Width; column++)
            {
                var at = row * image.Width + column;
                if (gray)
                {
                    target[column] = image.Bytes[at];
                    continue;
                }

                for (var channel = 0; channel < 3; channel++)
                    target[4 * column + channel] = image.Plane(channel % image.Channels)[at];
                target[4 * column + 3] = alpha?.Bytes[at] ?? 255;
            }
        }

        using var data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return profile == null ? data.ToArray() : IccProfile.IntoPng(data.AsSpan(), profile);
    }

    /// <summary>Writes a PNG file; it is written completely or not at all.</summary>
    public static void WritePng(string path, PixelImage image)
    {
        var png = EncodePng(image);
        AtomicFile.Write(path, stream => stream.Write(png));
    }

    private static PixelImage Planes(SKBitmap bitmap, int channels)
    {
        var image = new PixelImage(channels, bitmap.Height, bitmap.Width);
        var pixels = bitmap.GetPixelSpan();
        for (var row = 0; row < image.Height; row++)
        for (var column = 0; column < image.Width; column++)
        {
            var pixel = pixels.Slice(row * bitmap.RowBytes + 4 * column, 4);
            for (var channel = 0; channel < channels; channel++)
                image.Bytes[(channel * image.Height + row) * image.Width + column] = OnWhite(pixel[channel], pixel[3]);
        }

        return image;
    }

    private static byte OnWhite(int value, int alpha) => (byte)((value * alpha + 255 * (255 - alpha) + 127) / 255);

    /// <summary>Rotates and mirrors a stored image to its upright orientation. <paramref name="origin"/> is the position of the stored
    /// first row and column.</summary>
    private static PixelImage Orient(PixelImage stored, SKEncodedOrigin origin)
    {
        if (origin == SKEncodedOrigin.TopLeft)
            return stored;
        var (height, width) = (stored.Height, stored.Width);
        // for the four origins that begin with left or right, rows and columns are exchanged
        var turned =
            origin is SKEncodedOrigin.LeftTop or SKEncodedOrigin.RightTop or SKEncodedOrigin.RightBottom or SKEncodedOrigin.LeftBottom;
        var upright = turned ? new PixelImage(stored.Channels, width, height) : new PixelImage(stored.Channels, height, width);
        for (var row = 0; row < upright.Height; row++)
        for (var column = 0; column < upright.Width; column++)
        {
            var (y, x) = origin switch
            {
                SKEncodedOrigin.TopRight => (row, width - 1 - column),
                SKEncodedOrigin.BottomRight => (height - 1 - row, width - 1 - column),
                SKEncodedOrigin.BottomLeft => (height - 1 - row, column),
                SKEncodedOrigin.LeftTop => (column, row),
                SKEncodedOrigin.RightTop => (height - 1 - column, row),
                SKEncodedOrigin.RightBottom => (height - 1 - column, width - 1 - row),
                _ => (column, width - 1 - row), // LeftBottom
            };
            for (var channel = 0; channel < stored.Channels; channel++)
                upright.Plane(channel)[row * upright.Width + column] = stored.Plane(channel)[y * width + x];
        }

        return upright;
    }

    /// The first bytes of PNG, JPEG and RIFF (WebP) files
    private static readonly byte[][] Signatures =
    [
        [0x89, 0x50, 0x4e, 0x47],
        [0xff, 0xd8, 0xff],
        [0x52, 0x49, 0x46, 0x46],
    ];

    private static string Describe(byte[] content) =>
        Signatures.Any(signature => content.AsSpan().StartsWith(signature))
            ? $"a damaged one of {content.Length} bytes"
            : FileKind.Describe(content);
}
