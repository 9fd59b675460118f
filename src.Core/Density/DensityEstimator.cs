using System.Text.Json;
using DQ.Core.Artifacts;
using DQ.Core.Quantization;
using TorchSharp;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Density;

/// <summary>Settings for training quantizers alone.</summary>
/// <param name="Quantizer">Settings of the codes' start, updates and revival; its kind is <c>depthwise</c>.</param>
/// <param name="Steps">Updates of the codes.</param>
/// <param name="BatchSize">Images per update; all images if there are fewer.</param>
public sealed record DensityTraining(QuantizerSpec Quantizer, int Steps, int BatchSize)
{
    /// <summary>The settings as JSON in <c>density.json</c>.</summary>
    public DensityTrainingRecord Record() =>
        new(JsonSerializer.SerializeToNode(Quantizer, ArtifactJson.Options)!.AsObject(), Steps, BatchSize);
}

/// <summary>Quantizers trained alone on fixed features: a density estimate with one region per code (paper, section 5.1).</summary>
public static class DensityEstimator
{
    /// Number of batches for k-means.
    private const int FirstBatches = 4;

    /// <param name="train">Cut features (N, H·D, H, H), see <see cref="FeatureSlicing"/>.</param>
    /// <param name="test">Features of other images, on which the estimate is measured.</param>
    /// <param name="codebooks">Number of codebooks H.</param>
    /// <param name="codes">Codes K per codebook.</param>
    /// <param name="training">Settings of the training.</param>
    /// <param name="seed">Seed of the first codes, the order and revival.</param>
    /// <param name="cancellation">Checked between updates.</param>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static DensityEstimate Estimate(
        Tensor train,
        Tensor test,
        int codebooks,
        int codes,
        DensityTraining training,
        long seed,
        CancellationToken cancellation = default
    )
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var width = (int)(train.shape[1] / codebooks);
        manual_seed(seed);
        using var quantizer = new DepthwiseQuantizer(training.Quantizer, codebooks, codes, width);
        quantizer.to(train.device);
        var batches = new FeatureBatches(train, training.BatchSize, seed);
        quantizer.Initialize([.. Enumerable.Range(0, FirstBatches).Select(step => batches.At(step))], seed);
        for (var step = 0; step < training.Steps; step++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = NewDisposeScope();
            quantizer.Quantize(batches.At(step), new TrainingMoment(seed, step, training.Steps, 0));
            quantizer.Learn(seed, step);
        }
        quantizer.eval();
        return Measure(quantizer, test, training.BatchSize);
    }

    private static DensityEstimate Measure(DepthwiseQuantizer quantizer, Tensor test, int batchSize)
    {
        var histogram = new CodeHistogram(quantizer.Codebooks, quantizer.CodeCount);
        var (norms, squares, vectors) = (0.0, 0.0, 0L);
        for (var start = 0L; start < test.shape[0]; start += batchSize)
        {
            using var inner = NewDisposeScope();
            var quantized = quantizer.Quantize(test.narrow(0, start, Math.Min(batchSize, test.shape[0] - start)));
            histogram.Add(quantized.Indices);
            var distances = quantized.Distances!.to_type(ScalarType.Float64);
            norms += (distances * Kept(quantizer.Width)).sqrt().sum().item<double>();
            squares += distances.sum().item<double>();
            vectors += distances.numel();
        }
        var books = Enumerable.Range(0, quantizer.Codebooks).ToArray();
        return new(norms / vectors, squares / vectors, books.Average(histogram.EntropyNats), books.Average(histogram.Usage));
    }

    /// An endless sequence of batches. Each pass is one permutation drawn from (seed, pass); the incomplete last batch is dropped.
    private sealed class FeatureBatches(Tensor features, int batchSize, long seed)
    {
        private readonly int size = (int)Math.Min(batchSize, features.shape[0]);
        private readonly int[] order = new int[features.shape[0]];
        private long drawn = -1;

        public Tensor At(long step)
        {
            var steps = order.Length / size;
            if (step / steps != drawn)
                new SplitMix64(seed, drawn = step / steps).Permute(order);
            using var index = tensor(order.AsSpan((int)(step % steps) * size, size).ToArray(), device: features.device);
            return features.index_select(0, index);
        }
    }
}
