using System.Buffers;
using DQ.Core.Native;

namespace DQ.Core.Likelihoods.Context;

/// <summary>
/// Images with a margin that a decoder knows too, so that every pixel has all its neighbours. The margin on the right repeats the row's
/// last pixel, the margin on the left repeats the first pixel of the row above, and the margin above the image is 128.
/// </summary>
/// <remarks>Planes of (H + R) × (W + 2R) bytes, channel by channel, image by image; R is the radius.</remarks>
internal sealed unsafe class ContextImages : ParallelChunks, IDisposable
{
    internal const byte Above = 128;

    private readonly byte* source;
    private readonly int radius;
    private readonly byte[] bytes;
    private readonly MemoryHandle pin;

    /// <param name="source">Images (B, C, H, W), which are copied.</param>
    /// <param name="images">Number of images B.</param>
    /// <param name="channels">Channels C.</param>
    /// <param name="height">Height H.</param>
    /// <param name="width">Width W.</param>
    /// <param name="radius">Radius R of the context.</param>
    public ContextImages(byte* source, int images, int channels, int height, int width, int radius)
    {
        this.source = source;
        this.radius = radius;
        (Images, Channels, Height, Width) = (images, channels, height, width);
        bytes = ArrayPool<byte>.Shared.Rent(checked((int)((long)images * channels * Plane)));
        pin = bytes.AsMemory().Pin();
        Run(images);
    }

    public int Images { get; }

    public int Channels { get; }

    public int Height { get; }

    public int Width { get; }

    /// <summary>Offset in bytes from a pixel to the one below it.</summary>
    public int Row => Width + 2 * radius;

    /// <summary>Offset in bytes from a pixel to its next channel.</summary>
    public int Plane => (Height + radius) * Row;

    /// <summary>Offset of a pixel's first channel.</summary>
    /// <param name="position">Image · H·W + row · W + column.</param>
    public byte* At(long position)
    {
        var (image, pixel) = Math.DivRem(position, Height * Width);
        var (row, column) = Math.DivRem((int)pixel, Width);
        return First + image * Channels * Plane + (row + radius) * Row + column + radius;
    }

    private byte* First => (byte*)pin.Pointer;

    public void Dispose()
    {
        pin.Dispose();
        ArrayPool<byte>.Shared.Return(bytes);
    }

    protected override void Chunk(int index)
    {
        for (var channel = 0; channel < Channels; channel++)
        {
            var from = source + ((long)index * Channels + channel) * Height * Width;
            var to = First + ((long)index * Channels + channel) * Plane;
            new Span<byte>(to, radius * Row).Fill(Above);
            for (var row = 0; row < Height; row++)
            {
                var pixels = new ReadOnlySpan<byte>(from + row * Width, Width);
                var target = new Span<byte>(to + (radius + row) * Row, Row);
                target[..radius].Fill(row == 0 ? Above : from[(row - 1) * Width]);
                pixels.CopyTo(target[radius..]);
                target[(radius + Width)..].Fill(pixels[^1]);
            }
        }
    }
}
