namespace DQ.Core.Coding;

/// <summary>
/// The order in which pixels are coded: (row r, column c) belongs to wavefront c + (radius + 1) · r, and depends on earlier wavefronts
/// only. All pictures go through a wavefront together, one after the other, each from its first row down.
/// </summary>
internal static class Wavefronts
{
    /// <summary>How many there are.</summary>
    public static int Count(ContextPixels pixels) =>
        pixels.Pieces.Max(piece => checked(piece.Width + (pixels.Radius + 1) * (piece.Height - 1)));

    /// <summary>The pixels of a wavefront: runs with one step of a row down and <c>radius + 1</c> columns to the left.</summary>
    public static IEnumerable<Run> Runs(ContextPixels pixels, int wavefront)
    {
        var slope = pixels.Radius + 1;
        for (var piece = 0; piece < pixels.Pieces.Count; piece++)
        {
            var (width, height, stride, origin) = pixels.Pieces[piece];
            var first = wavefront < width ? 0 : (wavefront - width) / slope + 1;
            var last = Math.Min(wavefront / slope, height - 1);
            if (first <= last)
                yield return new Run(
                    piece,
                    first,
                    last - first + 1,
                    origin + first * stride + (wavefront - slope * first) * pixels.Channels,
                    stride - slope * pixels.Channels
                );
        }
    }

    /// <param name="Piece">The picture.</param>
    /// <param name="Row">Of the first pixel.</param>
    /// <param name="Count">Pixels.</param>
    /// <param name="Start">Byte of the first pixel.</param>
    /// <param name="Step">Bytes from a pixel to the next.</param>
    public readonly record struct Run(int Piece, int Row, int Count, int Start, int Step);
}
