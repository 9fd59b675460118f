using System.Buffers;
using System.Numerics;
using DQ.Core.Native;

namespace DQ.Core.Likelihoods.Context;

/// <summary>Converts the network's outputs into a discretized mixture of logistics around the prediction, in units of the local
/// contrast.</summary>
/// <remarks>
/// The mixture of Salimans et al. (<see cref="LogisticMixtureKernel"/>) where component k has mean_c = med_c + u_c·μ_ck + Σ
/// tanh(share)·(x_e − med_e) over earlier channels e, and scale u_c·exp(s_ck), with u = 0.6σ. Log-scales are clamped to [−7.5, 2].
/// Axes: a row is one output of all pixels.
/// </remarks>
internal sealed unsafe class ContextMixture : ParallelChunks
{
    internal const float LeastLogScale = -7.5f;
    internal const float MostLogScale = 2;
    private const int CacheLine = 64;

    private readonly ContextSpec spec;
    private readonly LogisticMixtureKernel kernel;
    private readonly float* outputs;
    private readonly float* bias;
    private readonly float* geometry;
    private readonly int width;
    private readonly int count;
    private readonly int tile;
    private readonly float? scale;
    private readonly float* natsPerPixel;
    private readonly double[] sums;

    /// <param name="spec">Spec of the head.</param>
    /// <param name="outputs">Outputs of the network, without the last bias. If there is a scale, they are replaced by the derivatives of
    /// scale × nats.</param>
    /// <param name="bias">Bias of the last layer.</param>
    /// <param name="geometry">Geometry from <see cref="ContextInputs"/>.</param>
    /// <param name="width">Length of a row, a multiple of the vector length.</param>
    /// <param name="count">Number of pixels; columns beyond it are padding.</param>
    /// <param name="tile">Pixels per chunk of work, a multiple of the vector length.</param>
    /// <param name="scale">Factor of the gradient; null for no gradient.</param>
    /// <param name="natsPerPixel">Receives a row of −ln p; null if it is not needed.</param>
    public ContextMixture(
        ContextSpec spec,
        float* outputs,
        float* bias,
        float* geometry,
        int width,
        int count,
        int tile,
        float? scale,
        float* natsPerPixel
    )
    {
        this.spec = spec;
        this.outputs = outputs;
        this.bias = bias;
        this.geometry = geometry;
        this.natsPerPixel = natsPerPixel;
        (this.width, this.count, this.tile, this.scale) = (width, count, tile, scale);
        kernel = new(spec.Channels, spec.Mixtures) { LogScales = (LeastLogScale, MostLogScale), ByPart = true };
        sums = new double[(width + tile - 1) / tile];
    }

    /// <returns>The sum of the pixels' nats; it does not depend on the threads.</returns>
    public double Run()
    {
        Run(sums.Length);
        return sums.Sum();
    }

    protected override void Chunk(int index)
    {
        var start = index * tile;
        var length = Math.Min(tile, width - start);
        var rows = spec.Outputs + 2 * spec.Channels + kernel.ScratchRows;
        var rented = ArrayPool<float>.Shared.Rent(rows * length + CacheLine);
        fixed (float* unaligned = rented)
        {
            var values = (float*)(((nint)unaligned + CacheLine - 1) & -CacheLine);
            var pixels = values + spec.Outputs * length;
            var earlier = pixels + spec.Channels * length;
            Read(values, start, length);
            for (var channel = 0; channel < spec.Channels; channel++)
            for (var v = 0; v < length; v += Vector<float>.Count)
            {
                var pixel = Vector.Load(Geometry(0, channel) + start + v);
                Vector.Store(pixel, pixels + channel * length + v);
                Vector.Store(pixel - Vector.Load(Geometry(1, channel) + start + v), earlier + channel * length + v);
            }
            var counted = Math.Clamp(count - start, 0, length);
            sums[index] = kernel.RunScaled(
                values,
                pixels,
                earlier,
                earlier + spec.Channels * length,
                length,
                counted,
                scale is not null,
                scale ?? 0,
                natsPerPixel == null ? null : natsPerPixel + start
            );
            if (scale is not null)
                Write(values, start, length, counted);
        }
        ArrayPool<float>.Shared.Return(rented);
    }

    /// Converts the network's outputs into the mixture's parameters
    private void Read(float* values, int start, int length)
    {
        for (var row = 0; row < spec.Outputs; row++)
        {
            var from = outputs + (long)row * width + start;
            var to = values + row * length;
            var (part, channel) = Place(row);
            var med = Geometry(1, channel) + start;
            var unit = Geometry(2, channel) + start;
            var log = Geometry(3, channel) + start;
            var offset = new Vector<float>(bias[row]);
            for (var v = 0; v < length; v += Vector<float>.Count)
            {
                var value = Vector.Load(from + v) + offset;
                if (part == Mean)
                    value = Vector.MultiplyAddEstimate(value, Vector.Load(unit + v), Vector.Load(med + v));
                else if (part == LogScale)
                    value += Vector.Load(log + v);
                Vector.Store(value, to + v);
            }
        }
    }

    /// Converts derivatives of the mixture's parameters into those of the outputs
    private void Write(float* values, int start, int length, int counted)
    {
        for (var row = 0; row < spec.Outputs; row++)
        {
            var from = values + row * length;
            var to = outputs + (long)row * width + start;
            var (part, channel) = Place(row);
            var unit = Geometry(2, channel) + start;
            for (var v = 0; v < length; v += Vector<float>.Count)
                Vector.Store(part == Mean ? Vector.Load(from + v) * Vector.Load(unit + v) : Vector.Load(from + v), to + v);
            new Span<float>(to + counted, length - counted).Clear();
        }
    }

    private const int Mean = 0;
    private const int LogScale = 1;

    /// The meaning of an output: weights have part −1, and shares come last
    private (int Part, int Channel) Place(int row)
    {
        var block = row / spec.Mixtures - 1;
        return block < 0 ? (-1, 0) : Math.DivRem(block, spec.Channels);
    }

    private float* Geometry(int part, int channel) => geometry + (long)(part * spec.Channels + channel) * width;
}
