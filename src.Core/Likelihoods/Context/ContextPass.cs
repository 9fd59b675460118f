using System.Numerics;
using TorchSharp;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Likelihoods.Context;

/// <summary>
/// Runs the forward and backward pass of a head, chunk by chunk. So a chunk's activations stay in the cache between matrix products, and no
/// tensor is as large as all pixels of a step. libtorch computes the products; the rest is managed code.
/// </summary>
/// <remarks>
/// Axes: rows are inputs, units or outputs; columns are pixels. So a product is weight × rows, and computations per pixel loop over
/// neighbouring columns. The order of sums depends only on chunks and columns.
/// </remarks>
internal sealed unsafe class ContextPass : IDisposable
{
    /// Pixels of a chunk; the fastest of the powers of two
    private const int ChunkPixels = 2048;

    private const int TilePixels = 256;

    private readonly ContextSpec spec;
    private readonly Tensor[] weights; // by layer: enter, hidden, leave
    private readonly Tensor[] biases;
    private readonly DisposeScope scope;
    private readonly Buffer inputs;
    private readonly Buffer geometry;
    private readonly Buffer[] activations; // of enter and the hidden layers, after residual sums
    private readonly Buffer?[] rectified; // of residual layers, before these sums
    private readonly Buffer outputs;
    private readonly Buffer gradient;
    private readonly Buffer masked;

    /// <param name="spec">Spec of the head.</param>
    /// <param name="parameters">Weight and bias of each layer in turn, contiguous float32 on the CPU.</param>
    public ContextPass(ContextSpec spec, IReadOnlyList<Tensor> parameters)
    {
        scope = NewDisposeScope();
        this.spec = spec;
        weights = [.. parameters.Where((_, index) => index % 2 == 0)];
        biases = [.. parameters.Where((_, index) => index % 2 == 1)];
        inputs = new(spec.Inputs);
        geometry = new(ContextInputs.GeometryParts * spec.Channels);
        activations = [.. Enumerable.Range(0, spec.Depth + 1).Select(_ => new Buffer(spec.Width))];
        rectified = [.. activations.Select((_, layer) => layer > 1 ? new Buffer(spec.Width) : null)];
        outputs = new(spec.Outputs);
        (gradient, masked) = (new(spec.Width), new(spec.Width));
    }

    /// <summary>−ln p of pixels, summed over them and their channels.</summary>
    /// <param name="images">The images.</param>
    /// <param name="positions">Numbers of the pixels.</param>
    /// <param name="joined">(width, pixels), added to the first layer's sums; null for none.</param>
    /// <param name="natsPerPixel">Receives each pixel's −ln p; null if it is not needed.</param>
    public double Nats(ContextImages images, int[] positions, Tensor? joined, float[]? natsPerPixel) =>
        Run(images, positions, joined, natsPerPixel, null, 0);

    /// <summary>The network's outputs for pixels, (outputs, pixels), with the last biases. They belong to the caller's dispose
    /// scope.</summary>
    /// <param name="images">As above.</param>
    /// <param name="positions">As above.</param>
    /// <param name="joined">As above.</param>
    public Tensor Outputs(ContextImages images, int[] positions, Tensor? joined)
    {
        using var _ = no_grad();
        var result = empty(spec.Outputs, positions.Length).MoveToOuterDisposeScope();
        for (var start = 0; start < positions.Length; start += ChunkPixels)
        {
            using var perChunk = NewDisposeScope();
            var (count, width) = Prepare(images, positions, start);
            Forward(width, joined?.narrow(1, start, count));
            result.narrow(1, start, count).copy_(outputs.Rows(width).narrow(1, 0, count).Plus(biases[^1].unsqueeze(1)));
        }
        return result;
    }

    /// <summary>−ln p of pixels, and the derivatives of scale × the sum.</summary>
    /// <param name="images">As above.</param>
    /// <param name="positions">As above.</param>
    /// <param name="joined">As above.</param>
    /// <param name="gradients">Gradients of the parameters in their order, initially zero, to which this adds. The last is that of
    /// <paramref name="joined"/>, if there is one.</param>
    /// <param name="scale">Factor of the derivatives.</param>
    public double Gradients(ContextImages images, int[] positions, Tensor? joined, IReadOnlyList<Tensor> gradients, float scale) =>
        Run(images, positions, joined, null, gradients, scale);

    public void Dispose() => scope.Dispose();

    private double Run(
        ContextImages images,
        int[] positions,
        Tensor? joined,
        float[]? natsPerPixel,
        IReadOnlyList<Tensor>? gradients,
        float scale
    )
    {
        using var _ = no_grad();
        var nats = 0.0;
        for (var start = 0; start < positions.Length; start += ChunkPixels)
        {
            using var perChunk = NewDisposeScope();
            var (count, width) = Prepare(images, positions, start);
            Forward(width, joined?.narrow(1, start, count));
            var row = natsPerPixel is null ? null : new float[width];
            fixed (float* perPixel = row)
                nats += new ContextMixture(
                    spec,
                    outputs.First,
                    Address(biases[^1]),
                    geometry.First,
                    width,
                    count,
                    TilePixels,
                    gradients is null ? null : scale,
                    perPixel
                ).Run();
            row.AsSpan(0, row is null ? 0 : count).CopyTo(natsPerPixel.AsSpan(natsPerPixel is null ? 0 : start));
            if (gradients is not null)
                Backward(width, gradients, joined is null ? null : gradients[^1].narrow(1, start, count));
        }
        return nats;
    }

    /// Inputs of a chunk: pixels in it, and the length of its rows
    private (int Count, int Width) Prepare(ContextImages images, int[] positions, int start)
    {
        var count = Math.Min(ChunkPixels, positions.Length - start);
        var width = (count + Vector<float>.Count - 1) / Vector<float>.Count * Vector<float>.Count;
        new ContextInputs(spec, images, positions, start, count, inputs.First, geometry.First, width, TilePixels).Run();
        return (count, width);
    }

    private void Forward(int width, Tensor? joined)
    {
        for (var layer = 0; layer <= spec.Depth; layer++)
        {
            var sums = rectified[layer] ?? activations[layer];
            var target = sums.Rows(width);
            target.addmm_(weights[layer], (layer == 0 ? inputs : activations[layer - 1]).Rows(width), 0, 1);
            if (layer == 0 && joined is not null)
                target.narrow(1, 0, joined.shape[1]).add_(joined, One);
            var (before, after) = rectified[layer] is null ? (null, null) : (activations[layer - 1], activations[layer]);
            new RectifiedRows(
                sums.First,
                Address(biases[layer]),
                before is null ? null : before.First,
                after is null ? null : after.First,
                spec.Width,
                width
            ).Run();
        }
        outputs.Rows(width).addmm_(weights[^1], activations[^1].Rows(width), 0, 1);
    }

    /// Starts from the outputs' derivatives, which are stored in place of the outputs
    private void Backward(int width, IReadOnlyList<Tensor> gradients, Tensor? joined)
    {
        var slopes = outputs.Rows(width);
        Add(gradients, spec.Depth + 1, slopes, activations[^1].Rows(width));
        gradients[2 * (spec.Depth + 1) + 1].add_(slopes.sum(1), One);
        gradient.Rows(width).addmm_(weights[^1].t(), slopes, 0, 1);
        for (var layer = spec.Depth; layer >= 0; layer--)
        {
            new RectifiedGradient(
                gradient.First,
                (rectified[layer] ?? activations[layer]).First,
                masked.First,
                Address(gradients[2 * layer + 1]),
                spec.Width,
                width
            ).Run();
            Add(gradients, layer, masked.Rows(width), (layer == 0 ? inputs : activations[layer - 1]).Rows(width));
            // behind a residual layer the derivative of its inputs has been computed already
            if (layer > 0)
                gradient.Rows(width).addmm_(weights[layer].t(), masked.Rows(width), rectified[layer] is null ? 0 : 1, 1);
        }
        joined?.copy_(masked.Rows(width).narrow(1, 0, joined.shape[1]));
    }

    private static void Add(IReadOnlyList<Tensor> gradients, int layer, Tensor slopes, Tensor before) =>
        gradients[2 * layer].addmm_(slopes, before.t(), 1, 1);

    private static float* Address(Tensor tensor) => FusedLoss.Address<float>(tensor);

    /// <summary>Rows of a chunk, contiguous for every row length.</summary>
    private sealed class Buffer
    {
        private readonly int rows;
        private readonly Tensor values;

        public Buffer(int rows)
        {
            this.rows = rows;
            values = empty((long)rows * ChunkPixels);
            First = Address(values);
        }

        public float* First { get; }

        /// A view (rows, width)
        public Tensor Rows(int width) => values.narrow(0, 0, (long)rows * width).view(rows, width);
    }
}
