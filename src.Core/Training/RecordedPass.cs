using DQ.Core.Native;
using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>
/// A training pass that is recorded as a CUDA graph: forward, loss, backward, and the sums that a step needs. Launched as a whole, it
/// spares a GPU the wait for hundreds of launches.
/// </summary>
/// <remarks>A step reads one small tensor of it. What follows the pass (clipping, update, codebooks) is not recorded.</remarks>
internal sealed class RecordedPass : IDisposable
{
    private readonly CudaGraph graph = new();
    private readonly IReadOnlyList<MovingAverageQuantizer> quantizers;
    private readonly IObjective objective;
    private readonly AdamOptimizer optimizer;
    private readonly Tensor pixels;
    private readonly Tensor? positions;
    private Tensor? gradient; // (N)
    private Tensor? numbers; // total, reconstruction, latent, |gradient|², and counts of all codes; float64
    private CodeUses[] uses = [];

    private RecordedPass(IObjective objective, AdamOptimizer optimizer, Tensor pixels, Tensor? positions)
    {
        (this.objective, this.optimizer) = (objective, optimizer);
        quantizers = [.. objective.Quantizers.Cast<MovingAverageQuantizer>()];
        this.pixels = pixels.DetachFromDisposeScope();
        this.positions = positions?.DetachFromDisposeScope();
    }

    /// <summary>Records the pass for batches of this shape. Passes of the shape must have run before on the present stream.</summary>
    /// <param name="objective">The objective; its targets are the pixels.</param>
    /// <param name="optimizer">Receives the gradients.</param>
    /// <param name="training">Settings with the number format.</param>
    /// <param name="moment">The present moment.</param>
    /// <param name="sample">(B, C, H, W) uint8 on the device.</param>
    public static RecordedPass Of(
        IObjective objective,
        AdamOptimizer optimizer,
        TrainingSpec training,
        TrainingMoment moment,
        Tensor sample
    )
    {
        var pass = new RecordedPass(objective, optimizer, sample.clone(), objective.Positions(sample, moment)?.to(sample.device));
        optimizer.ClearGradients();
        cuda.synchronize(sample.device);
        try
        {
            pass.graph.Capture(() => pass.Record(training, moment));
            return pass;
        }
        catch
        {
            pass.Dispose();
            throw;
        }
    }

    /// <summary>True where the pass depends on nothing but pixels, weights and codes, and waits for no value.</summary>
    public static bool CanRecord(IObjective objective, TrainingSpec training, Device device) =>
        device.type == TorchSharp.DeviceType.CUDA
        && Environment.GetEnvironmentVariable("DQ_CUDA_GRAPHS") != "0"
        && CudaGraph.IsAvailable
        && training.Accumulate == 1
        && objective.DependsOnPixelsOnly
        && objective.Quantizers.All(quantizer => quantizer is MovingAverageQuantizer);

    /// <summary>True for batches of the recorded shape.</summary>
    public bool Takes(Tensor batch) => batch.shape.SequenceEqual(pixels.shape);

    /// <summary>Launches the pass and adds its losses and counts to the sums. The gradients are the optimizer's, the vectors of the
    /// codes the quantizers'.</summary>
    /// <returns>Euclidean norm of the gradients.</returns>
    public double Run(Tensor batch, TrainingMoment moment, StepSums sums)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        pixels.copy_(batch);
        positions?.copy_(objective.Positions(batch, moment)!);
        graph.Launch();
        var values = numbers!.cpu().data<double>().ToArray();
        optimizer.OnDevice.Lend(gradient!);
        foreach (var (quantizer, seen) in quantizers.Zip(uses))
            quantizer.Give(seen);
        sums.Add(values[0], values[1], values[2], values[4..]);
        return Math.Sqrt(values[3]);
    }

    public void Dispose()
    {
        graph.Dispose();
        pixels.Dispose();
        positions?.Dispose();
        gradient?.Dispose();
        numbers?.Dispose();
        foreach (var seen in uses)
            seen.Dispose();
    }

    private void Record(TrainingSpec training, TrainingMoment moment)
    {
        using var scope = NewDisposeScope();
        ModelLosses losses;
        using (NumberFormats.BeginPass(training.Precision, pixels.device))
            losses = objective.Pass(pixels, pixels, moment, positions).Losses;
        losses.Total.backward();
        using var _ = no_grad();
        optimizer.Gathered();
        gradient = optimizer.OnDevice.Release();
        uses = [.. quantizers.Select(quantizer => quantizer.Take())];
        Tensor[] parts =
        [
            .. new[] { losses.Total, losses.Reconstruction, losses.Latent, FlatAdam.SumOfSquares(gradient) }
                .Concat(uses.Select(seen => seen.Counts))
                .Select(part => part.detach().to_type(ScalarType.Float64).view(-1)),
        ];
        numbers = cat(parts, 0).DetachFromDisposeScope();
    }
}
