using System.Buffers;
using System.Numerics;
using DQ.Core.Native;

namespace DQ.Core.Likelihoods;

/// <summary>A likelihood computed by a vectorized loop over neighbouring pixels.</summary>
internal interface ITileKernel
{
    int OutputChannels { get; }

    int ImageChannels { get; }

    /// <summary>Number of scratch rows of the tile's width that the kernel needs.</summary>
    int ScratchRows { get; }

    /// <summary>Negative log-likelihood of a tile of pixels in nats, summed over its pixels and channels.</summary>
    /// <param name="tile">
    /// Decoder outputs, row after row: channel i of the tile's pixel j is at <c>i · width + j</c>. If the gradient is wanted, every output
    /// is replaced by the derivative of <paramref name="scale"/> × the tile's sum.
    /// </param>
    /// <param name="pixels">Pixel values 0…255 in the same layout; may be overwritten.</param>
    /// <param name="scratch"><see cref="ScratchRows"/> rows.</param>
    /// <param name="width">Length of a row, a multiple of the vector length; columns from <paramref name="count"/> on are padding.</param>
    /// <param name="count">Number of pixels.</param>
    /// <param name="gradient">Whether to write the gradient.</param>
    /// <param name="scale">Factor of the gradient.</param>
    unsafe double Run(float* tile, float* pixels, float* scratch, int width, int count, bool gradient, float scale);
}

/// <summary>
/// Runs a kernel over a batch of planes, tile by tile. Rows of neighbouring pixels are copied out of the planes, which are an image's area
/// apart. So each pixel is read once, and intermediate values stay in the cache.
/// </summary>
/// <remarks>Sums are kept in double per tile and added in order: the result does not depend on the threads.</remarks>
internal sealed unsafe class TileRun : ParallelChunks
{
    /// Maximum size of a tile: its rows exceed the first-level cache, and are long enough that reading them does not wait for memory
    private const int TileBytes = 1 << 18;

    private const int TilesPerChunk = 4;
    private const int CacheLine = 64;

    private readonly ITileKernel kernel;
    private readonly int batch;
    private readonly long area;
    private readonly float* output;
    private readonly byte* pixels;
    private readonly float* gradient;
    private readonly int rows;
    private readonly int width;
    private readonly int tilesPerImage;
    private readonly float scale;
    private double[] sums = [];

    public TileRun(ITileKernel kernel, int batch, long area, float* output, byte* pixels, float* gradient)
    {
        (this.kernel, this.batch, this.area) = (kernel, batch, area);
        this.output = output;
        this.pixels = pixels;
        this.gradient = gradient;
        var lanes = Vector<float>.Count;
        rows = kernel.OutputChannels + kernel.ImageChannels + kernel.ScratchRows;
        var widest = Math.Max(lanes, TileBytes / sizeof(float) / rows / lanes * lanes);
        var tiles = (area + widest - 1) / widest;
        width = (int)((area + tiles - 1) / tiles + lanes - 1) / lanes * lanes;
        tilesPerImage = checked((int)((area + width - 1) / width));
        scale = (float)(1.0 / (area * kernel.ImageChannels)) * (1f / batch);
    }

    public void Run(float[] losses)
    {
        var tiles = checked(batch * tilesPerImage);
        sums = ArrayPool<double>.Shared.Rent(tiles);
        Run((tiles + TilesPerChunk - 1) / TilesPerChunk);
        for (var image = 0; image < batch; image++)
        {
            var sum = 0.0;
            for (var tile = 0; tile < tilesPerImage; tile++)
                sum += sums[image * tilesPerImage + tile];
            losses[image] = (float)(sum / (area * kernel.ImageChannels));
        }
        ArrayPool<double>.Shared.Return(sums);
    }

    protected override void Chunk(int index)
    {
        var last = Math.Min((index + 1) * TilesPerChunk, batch * tilesPerImage);
        var scratch = ArrayPool<float>.Shared.Rent(rows * width + CacheLine);
        fixed (float* start = scratch)
        {
            var aligned = (float*)(((nint)start + CacheLine - 1) & -CacheLine);
            for (var tile = index * TilesPerChunk; tile < last; tile++)
                sums[tile] = Tile(tile / tilesPerImage, (long)(tile % tilesPerImage) * width, aligned);
        }
        ArrayPool<float>.Shared.Return(scratch);
    }

    private double Tile(long image, long start, float* scratch)
    {
        var count = (int)Math.Min(width, area - start);
        var values = scratch + kernel.OutputChannels * width;
        for (var channel = 0; channel < kernel.OutputChannels; channel++)
        {
            var row = new Span<float>(scratch + channel * width, width);
            new ReadOnlySpan<float>(output + (image * kernel.OutputChannels + channel) * area + start, count).CopyTo(row);
            row[count..].Clear();
        }
        for (var channel = 0; channel < kernel.ImageChannels; channel++)
        {
            var source = pixels + (image * kernel.ImageChannels + channel) * area + start;
            for (var pixel = 0; pixel < width; pixel++)
                values[channel * width + pixel] = pixel < count ? source[pixel] : 128;
        }
        var sum = kernel.Run(scratch, values, values + kernel.ImageChannels * width, width, count, gradient != null, scale);
        if (gradient != null)
            for (var channel = 0; channel < kernel.OutputChannels; channel++)
                new ReadOnlySpan<float>(scratch + channel * width, count).CopyTo(
                    new Span<float>(gradient + (image * kernel.OutputChannels + channel) * area + start, count)
                );
        return sum;
    }
}
