using DQ.Core.Artifacts;
using DQ.Core.Likelihoods.Context;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>Evaluates a model without levels on a split, batch by batch. Its reconstruction is the whole cost of the images.</summary>
/// <param name="head">The model.</param>
public sealed class ContextEvaluator(ContextHead head)
{
    private double nats;
    private long images;
    private long dimensions;

    /// <summary>Mean over the images so far, in nats per dimension.</summary>
    /// <exception cref="InvalidOperationException">There are no images.</exception>
    public double NatsPerDim => images > 0 ? nats / images / dimensions : throw new InvalidOperationException("no images were evaluated");

    /// <summary>Evaluates (B, C, H, W) uint8 pixels; all batches must have images of one shape.</summary>
    public void Add(Tensor pixels)
    {
        var each = pixels.shape[1] * pixels.shape[2] * pixels.shape[3];
        if (images > 0 && each != dimensions)
            throw new ArgumentException($"expected images of {dimensions} dimensions, got {each}", nameof(pixels));
        dimensions = each;
        images += pixels.shape[0];
        foreach (var cost in head.NatsPerPixel(pixels))
            nats += cost;
    }

    /// <exception cref="InvalidOperationException">No image was added.</exception>
    public SplitEvaluation Finish()
    {
        var rates = new RateAccounting(Math.Max(1, dimensions), NatsPerDim, 0, 0);
        return new()
        {
            Images = images,
            DimensionsPerImage = dimensions,
            ReconstructionNatsPerDim = rates.ReconstructionNatsPerDim,
            ReconstructionBitsPerDim = rates.ReconstructionBitsPerDim,
            CodeRateUniformBitsPerDim = 0,
            CodeRateEmpiricalBitsPerDim = 0,
            TotalUniformBitsPerDim = rates.TotalUniformBitsPerDim,
            TotalEmpiricalBitsPerDim = rates.TotalEmpiricalBitsPerDim,
            MeanSquaredError = null,
            NormalizedSquaredError = null,
            PsnrDb = null,
            Ssim = null,
            Levels = [],
        };
    }
}
