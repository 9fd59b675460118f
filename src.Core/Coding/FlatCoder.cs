using DQ.Core.Images;

namespace DQ.Core.Coding;

/// <summary>
/// Drawings and screenshots, pixel by pixel in rows: is the color the one that followed the same surroundings before, or that of a
/// neighbour? Yes or no each time, by probabilities that adapt; a color that is none of these is coded bit by bit.
/// </summary>
/// <remarks>
/// Surroundings of 12, 6 and 3 pixels are remembered by their hash, each with the color seen there last and how often in a row it came
/// true. Repeated shapes, letters for one, are found by the first, as by a dictionary in two dimensions.
/// </remarks>
internal static class FlatCoder
{
    // share of pixels that equal the one before or above, from which on it is tried, and from which on it is expected to win
    private const double WorthTrying = 0.3;
    private const double Expected = 0.6;

    /// <summary>Whether enough pixels equal a neighbour for this mode to have a chance.</summary>
    public static bool IsWorthTrying(ContextPixels pixels)
    {
        long equal = 0;
        foreach (var piece in pixels.Pieces)
            for (var row = 0; row < piece.Height; row++)
            for (var column = 0; column < piece.Width; column++)
            {
                var at = piece.Origin + row * piece.Stride + column * pixels.Channels;
                var pixel = FlatModel.Color(pixels, at);
                if (pixel == FlatModel.Color(pixels, at - pixels.Channels) || pixel == FlatModel.Color(pixels, at - piece.Stride))
                    equal++;
            }
        return equal >= WorthTrying * pixels.Count;
    }

    /// <summary>Whether a picture is most likely best coded in this mode, and so in one piece.</summary>
    public static bool IsExpected(PixelImage image)
    {
        var (width, size) = (image.Width, image.Width * image.Height);
        long equal = 0;
        for (var at = width; at < size; at++)
        {
            var (isWest, isNorth) = (true, true);
            for (var plane = 0; plane < image.Bytes.Length; plane += size)
            {
                isWest &= image.Bytes[plane + at] == image.Bytes[plane + at - 1];
                isNorth &= image.Bytes[plane + at] == image.Bytes[plane + at - width];
            }
            if (isWest || isNorth)
                equal++;
        }
        return equal >= Expected * size;
    }

    /// <summary>The stream of pixels whose margins are filled.</summary>
    public static byte[] Encode(ContextPixels pixels, CancellationToken cancellation)
    {
        var bits = new BitRecorder();
        new FlatModel(pixels).Walk(ref bits, cancellation);
        return bits.Finish();
    }

    /// <summary>Fills pixels, margins too, from their stream.</summary>
    /// <exception cref="InvalidDataException">The stream is not that of pixels of these sizes.</exception>
    public static void Decode(ReadOnlySpan<byte> stream, ContextPixels pixels, CancellationToken cancellation)
    {
        var bits = new BitPlayer(new RansDecoder(stream));
        new FlatModel(pixels).Walk(ref bits, cancellation);
        if (!bits.IsAtEnd)
            throw new InvalidDataException("a stream that does not end with its last symbol");
    }
}
