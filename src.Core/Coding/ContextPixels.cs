namespace DQ.Core.Coding;

/// <summary>
/// Pixels of pictures with the margins that a decoder knows: right of a row its last pixel, left of it the first pixel of the row
/// above, above the first row 128. Left of the first row it is 128 too.
/// </summary>
/// <remarks>Channels of a pixel lie side by side, as the net's inputs take them.</remarks>
internal sealed class ContextPixels
{
    private const byte Unknown = 128;

    private readonly Piece[] _pieces;

    /// <param name="pieces">Width and height of each picture.</param>
    /// <param name="channels">1 or 3.</param>
    /// <param name="radius">Of the margins.</param>
    public ContextPixels(IReadOnlyList<(int Width, int Height)> pieces, int channels, int radius)
    {
        (Channels, Radius) = (channels, radius);
        _pieces = new Piece[pieces.Count];
        var start = 0;
        for (var i = 0; i < _pieces.Length; i++)
        {
            var stride = (pieces[i].Width + 2 * radius) * channels;
            _pieces[i] = new Piece(pieces[i].Width, pieces[i].Height, stride, checked(start + radius * stride + radius * channels));
            start = checked(start + (pieces[i].Height + radius) * stride);
            Count += (long)pieces[i].Width * pieces[i].Height;
        }
        Bytes = GC.AllocateUninitializedArray<byte>(start, pinned: true);
        Array.Fill(Bytes, Unknown);
    }

    public int Channels { get; }
    public int Radius { get; }

    /// <summary>Pixels without margins.</summary>
    public long Count { get; }

    /// <summary>All pictures with their margins; pinned.</summary>
    public byte[] Bytes { get; }

    public IReadOnlyList<Piece> Pieces => _pieces;

    /// <summary>Fills the margins that follow from a picture's pixels.</summary>
    public void FillMargins(int piece)
    {
        for (var row = 0; row < _pieces[piece].Height; row++)
        {
            FirstIsKnown(piece, row);
            LastIsKnown(piece, row);
        }
    }

    /// <summary>Copies the first pixel of a row to the left of the next.</summary>
    public void FirstIsKnown(int piece, int row)
    {
        var (_, height, stride, origin) = _pieces[piece];
        if (row + 1 < height)
            Repeat(origin + row * stride, origin + (row + 1) * stride - Radius * Channels);
    }

    /// <summary>Copies the last pixel of a row to the right of it.</summary>
    public void LastIsKnown(int piece, int row)
    {
        var (width, _, stride, origin) = _pieces[piece];
        var last = origin + row * stride + (width - 1) * Channels;
        Repeat(last, last + Channels);
    }

    private void Repeat(int pixel, int target)
    {
        for (var i = 0; i < Radius * Channels; i++)
            Bytes[target + i] = Bytes[pixel + i % Channels];
    }

    /// <summary>A picture's place.</summary>
    /// <param name="Width">Pixels across.</param>
    /// <param name="Height">Pixels down.</param>
    /// <param name="Stride">Bytes from a row to the next.</param>
    /// <param name="Origin">Byte of the first pixel.</param>
    public readonly record struct Piece(int Width, int Height, int Stride, int Origin);
}
