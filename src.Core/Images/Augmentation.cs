namespace DQ.Core.Images;

/// <summary>Random changes of training images. They are exact: no pixel value is changed.</summary>
/// <param name="Flip">Mirror left to right with probability one half.</param>
/// <param name="Shift">Move by up to this many pixels in each direction, uniformly; edges are repeated.</param>
public sealed record Augmentation(bool Flip = false, int Shift = 0)
{
    public static Augmentation None { get; } = new();

    /// <summary>Copies one image (C, H, W) with changes drawn from <paramref name="random"/>.</summary>
    public void Copy(ReadOnlySpan<byte> source, Span<byte> target, int height, int width, SplitMix64 random)
    {
        var mirror = Flip && (random.Next() & 1) == 1;
        var down = Shift == 0 ? 0 : random.Next(2 * Shift + 1) - Shift;
        var right = Shift == 0 ? 0 : random.Next(2 * Shift + 1) - Shift;
        if (!mirror && down == 0 && right == 0)
        {
            source.CopyTo(target);
            return;
        }

        var rows = source.Length / width; // C·H rows, one plane after the other
        for (var row = 0; row < rows; row++)
        {
            var y = row % height;
            var from = source.Slice((row - y + Math.Clamp(y - down, 0, height - 1)) * width, width);
            var to = target.Slice(row * width, width);
            for (var x = 0; x < width; x++)
            {
                var column = Math.Clamp(x - right, 0, width - 1);
                to[x] = from[mirror ? width - 1 - column : column];
            }
        }
    }
}
