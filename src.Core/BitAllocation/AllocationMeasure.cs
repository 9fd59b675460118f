using DQ.Core.Artifacts;
using static DQ.Core.Native.HeldOperations;
using static TorchSharp.torch;

namespace DQ.Core.BitAllocation;

/// <summary>The features of the images on which allocations are measured, and the network's outputs for the unquantized features.</summary>
public sealed class MeasuredFeatures : IDisposable
{
    private readonly Tensor features; // (N, C, H, W)
    private readonly Tensor outputs; // (N, outputs)
    private readonly Tensor best; // (N)
    private readonly Tensor? labels; // (N)
    private readonly Func<Tensor, Tensor> back;
    private readonly int batchSize;

    /// <param name="features">Features z (N, C, H, W), which are read until this object is disposed.</param>
    /// <param name="labels">Class of each image; null without labels, or if the network has other classes.</param>
    /// <param name="back">The second part g of the network.</param>
    /// <param name="batchSize">Number of images per batch of g.</param>
    public MeasuredFeatures(Tensor features, int[]? labels, Func<Tensor, Tensor> back, int batchSize)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        (this.features, this.back, this.batchSize) = (features, back, batchSize);
        outputs = cat([.. Batches().Select(batch => back(batch).flatten(1))]).DetachFromDisposeScope();
        best = outputs.argmax(1).DetachFromDisposeScope();
        this.labels = labels is null ? null : tensor(labels, ScalarType.Int64, device: features.device).DetachFromDisposeScope();
    }

    /// <summary>Mean square of the outputs.</summary>
    public double OutputPower => outputs.Squared().mean().item<float>();

    /// <summary>Share of images that are classified correctly without quantization; null without labels.</summary>
    public double? Accuracy => labels is null ? null : Share(best, labels);

    /// <param name="bits">Bits of every channel.</param>
    /// <param name="intervals">Intervals of the channels' quantizers.</param>
    /// <param name="calibration">Calibration features; the receiver knows the frequencies of their levels.</param>
    public AllocationMeasure Measure(IReadOnlyList<int> bits, IntervalTensors intervals, Tensor calibration)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var (known, own) = (new LevelCounts(bits), new LevelCounts(bits));
        known.Add(intervals.Indices(calibration, bits));
        var (output, feature, agreed, right, start) = (0.0, 0.0, 0.0, 0.0, 0L);
        foreach (var batch in Batches())
        {
            using var inner = NewDisposeScope();
            var count = batch.shape[0];
            own.Add(intervals.Indices(batch, bits));
            var quantized = intervals.Quantize(batch, bits);
            feature += Squares(quantized, batch);
            var logits = back(quantized).flatten(1);
            output += Squares(logits, outputs.narrow(0, start, count));
            var chosen = logits.argmax(1);
            agreed += Share(chosen, best.narrow(0, start, count)) * count;
            if (labels is not null)
                right += Share(chosen, labels.narrow(0, start, count)) * count;
            start += count;
        }
        return new(
            output / outputs.numel(),
            feature / features.numel(),
            agreed / start,
            labels is null ? null : right / start,
            own.CodedBits(known) / own.Values,
            SideInformation.TableBits(bits)
        );
    }

    public void Dispose()
    {
        outputs.Dispose();
        best.Dispose();
        labels?.Dispose();
    }

    private IEnumerable<Tensor> Batches()
    {
        for (var start = 0L; start < features.shape[0]; start += batchSize)
            yield return features.narrow(0, start, Math.Min(batchSize, features.shape[0] - start));
    }

    private static double Squares(Tensor one, Tensor other) => (one - other).Squared().sum(ScalarType.Float64).item<double>();

    private static double Share(Tensor one, Tensor other) => one.eq(other).to_type(ScalarType.Float64).mean().item<double>();
}
