using System.Numerics;
using DQ.Core.Native;

namespace DQ.Core.Likelihoods.Context;

/// <summary>
/// Computes the network's inputs for each pixel, and the values that its outputs are relative to. All are relative to a prediction from the
/// neighbours, in units of the local contrast.
/// </summary>
/// <remarks>
/// Prediction: LOCO-I's, the median of W, N and W + N − NW. Contrast σ̂ of a channel: the mean of |W−NW|, |N−NW|, |N−NE|, |W−WW| and
/// |N−NN|; σ = ½σ̂ + ½ mean of σ̂ over channels + floor.
/// Inputs, in their order: for each neighbour (rows from above, columns from the left) and channel d = neighbour − prediction, in color as
/// differences (d_R − d_G, d_G, d_B − d_G), divided by σ, clamped to ±8, times 0.7. Then, by channel, the predictions, (W − N)/σ, (N −
/// NW)/σ and log σ.
/// Axes: a row is one input of all pixels, so that loops run over neighbouring pixels.
/// </remarks>
internal sealed unsafe class ContextInputs : ParallelChunks
{
    /// <summary>Rows of the geometry: pixel, prediction, unit and log unit, each by channel.</summary>
    public const int GeometryParts = 4;

    /// <summary>The unit of a mixture, as a multiple of σ.</summary>
    internal const float Unit = 0.6f;

    internal const float MostDifference = 8;
    internal const float DifferenceScale = 0.7f;

    private static readonly float[] Scaled = [.. Enumerable.Range(0, 256).Select(value => value / 127.5f - 1)];

    private readonly ContextSpec spec;
    private readonly ContextImages images;
    private readonly int[] positions;
    private readonly int first;
    private readonly int count;
    private readonly float* inputs;
    private readonly float* geometry;
    private readonly int width;
    private readonly int tile;

    /// <param name="spec">Spec of the head.</param>
    /// <param name="images">Images with the spec's channels and radius.</param>
    /// <param name="positions">Numbers of pixels, as in <see cref="ContextImages.At"/>.</param>
    /// <param name="first">Index of the first position to use.</param>
    /// <param name="count">Number of positions to use.</param>
    /// <param name="inputs">Receives <see cref="ContextSpec.Inputs"/> rows; columns beyond <paramref name="count"/> repeat the
    /// first.</param>
    /// <param name="geometry">Receives <see cref="GeometryParts"/> rows per channel, in the same way.</param>
    /// <param name="width">Length of a row, a multiple of the vector length.</param>
    /// <param name="tile">Pixels per chunk of work, a multiple of the vector length.</param>
    public ContextInputs(
        ContextSpec spec,
        ContextImages images,
        int[] positions,
        int first,
        int count,
        float* inputs,
        float* geometry,
        int width,
        int tile
    )
    {
        (this.spec, this.images, this.positions, this.first, this.count) = (spec, images, positions, first, count);
        this.inputs = inputs;
        this.geometry = geometry;
        (this.width, this.tile) = (width, tile);
    }

    public void Run() => Run((width + tile - 1) / tile);

    protected override void Chunk(int index)
    {
        var start = index * tile;
        var length = Math.Min(tile, width - start);
        var at = stackalloc byte*[length];
        for (var pixel = 0; pixel < length; pixel++)
            at[pixel] = images.At(positions[first + (start + pixel < count ? start + pixel : 0)]);
        for (var channel = 0; channel < spec.Channels; channel++)
            Gather(at, channel * images.Plane, Geometry(0, channel) + start, length);
        for (var neighbour = 0; neighbour < spec.Neighbours; neighbour++)
        {
            var (row, column) = Offset(neighbour);
            for (var channel = 0; channel < spec.Channels; channel++)
                Gather(
                    at,
                    channel * images.Plane + row * images.Row + column,
                    inputs + (long)(neighbour * spec.Channels + channel) * width + start,
                    length
                );
        }
        for (var v = start; v < start + length; v += Vector<float>.Count)
            Prepare(v);
    }

    private static void Gather(byte** at, int offset, float* row, int length)
    {
        fixed (float* scaled = Scaled)
            for (var pixel = 0; pixel < length; pixel++)
                row[pixel] = scaled[at[pixel][offset]];
    }

    /// Row and column of a neighbour, relative to the pixel
    private (int Row, int Column) Offset(int neighbour)
    {
        var (row, column) = Math.DivRem(neighbour, 2 * spec.Radius + 1);
        return (row - spec.Radius, column - spec.Radius);
    }

    private float* Geometry(int part, int channel) => geometry + (long)(part * spec.Channels + channel) * width;

    private Vector<float> Known(int row, int column, int channel, int v)
    {
        var neighbour = (row + spec.Radius) * (2 * spec.Radius + 1) + column + spec.Radius;
        return Vector.Load(inputs + (long)(neighbour * spec.Channels + channel) * width + v);
    }

    /// Converts the neighbours' values in the rows of inputs into inputs, for one vector of pixels
    private void Prepare(int v)
    {
        var channels = spec.Channels;
        var half = new Vector<float>(0.5f);
        var contrast = Vector<float>.Zero;
        for (var channel = 0; channel < channels; channel++)
        {
            var (w, n) = (Known(0, -1, channel, v), Known(-1, 0, channel, v));
            var (nw, ne) = (Known(-1, -1, channel, v), Known(-1, 1, channel, v));
            var (ww, nn) = (Known(0, -2, channel, v), Known(-2, 0, channel, v));
            var sum = Vector.Abs(w - nw) + Vector.Abs(n - nw) + Vector.Abs(n - ne) + Vector.Abs(w - ww) + Vector.Abs(n - nn);
            var own = sum * new Vector<float>(1 / 5f);
            contrast += own;
            var predicted = Vector.Max(Vector.Min(w, n), Vector.Min(Vector.Max(w, n), w + n - nw));
            Vector.Store(predicted, Geometry(1, channel) + v);
            Vector.Store(own, Geometry(2, channel) + v);
            Vector.Store(predicted, Extra(0, channel) + v);
            Vector.Store(w - n, Extra(1, channel) + v);
            Vector.Store(n - nw, Extra(2, channel) + v);
        }
        contrast *= half * new Vector<float>(1f / channels);
        var overSigma = stackalloc Vector<float>[channels];
        for (var channel = 0; channel < channels; channel++)
        {
            var sigma = Vector.Load(Geometry(2, channel) + v) * half + contrast + new Vector<float>((float)spec.ContrastFloor);
            var log = VectorMath.Log(sigma);
            overSigma[channel] = Vector<float>.One / sigma;
            Vector.Store(sigma * new Vector<float>(Unit), Geometry(2, channel) + v);
            Vector.Store(log + new Vector<float>(MathF.Log(Unit)), Geometry(3, channel) + v);
            Vector.Store(Vector.Load(Extra(1, channel) + v) * overSigma[channel], Extra(1, channel) + v);
            Vector.Store(Vector.Load(Extra(2, channel) + v) * overSigma[channel], Extra(2, channel) + v);
            Vector.Store(log, Extra(3, channel) + v);
        }
        for (var neighbour = 0; neighbour < spec.Neighbours; neighbour++)
        {
            var row = inputs + (long)neighbour * channels * width + v;
            if (channels == 1)
                Vector.Store(Limited(Difference(row, 0, v) * overSigma[0]), row);
            else
            {
                var (red, green, blue) = (Difference(row, 0, v), Difference(row, 1, v), Difference(row, 2, v));
                Vector.Store(Limited((red - green) * overSigma[0]), row);
                Vector.Store(Limited(green * overSigma[1]), row + width);
                Vector.Store(Limited((blue - green) * overSigma[2]), row + 2 * width);
            }
        }
    }

    private Vector<float> Difference(float* row, int channel, int v) =>
        Vector.Load(row + (long)channel * width) - Vector.Load(Geometry(1, channel) + v);

    private static Vector<float> Limited(Vector<float> difference) =>
        Vector.Min(Vector.Max(difference, new Vector<float>(-MostDifference)), new Vector<float>(MostDifference))
        * new Vector<float>(DifferenceScale);

    private float* Extra(int part, int channel) => inputs + (long)((spec.Neighbours + part) * spec.Channels + channel) * width;
}
