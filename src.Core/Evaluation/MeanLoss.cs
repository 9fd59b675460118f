using DQ.Core.Autoencoders;
using DQ.Core.Likelihoods.Context;
using DQ.Core.Parallel;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>The reconstruction loss alone, for the quick validations during training.</summary>
public static class MeanLoss
{
    /// <summary>Mean over images of −log p(x|z) in nats per dimension, or of the squared error on normalized values.</summary>
    /// <param name="model">The model, which is set to evaluation mode.</param>
    /// <param name="batches">Batches (B, C, H, W) uint8, which are disposed here.</param>
    /// <param name="ranks">Processes that look at some of the batches each and come to the same mean; null for this one alone.</param>
    /// <exception cref="InvalidOperationException">There are no images.</exception>
    public static double Of(HierarchicalAutoencoder model, IEnumerable<Tensor> batches, IRanks? ranks = null)
    {
        model.eval();
        var device = model.parameters().First().device;
        var (sum, images) = (0.0, 0L);
        foreach (var batch in Own(batches, ranks))
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            using (batch)
            {
                var pixels = batch.to(device);
                var pass = model.Run(pixels);
                var losses = model.Context is { } context
                    ? context.NatsPerDim(pass.Features!, pixels)
                    : model.Likelihood.Loss(pass.Output, pixels);
                sum += losses.sum(ScalarType.Float64).item<double>();
                images += batch.shape[0];
            }
        }
        return Mean(sum, images, ranks);
    }

    /// <summary>Mean over images of −log p(x) of a model without levels, in nats per dimension.</summary>
    /// <param name="head">The model.</param>
    /// <param name="batches">As above.</param>
    /// <param name="ranks">As above.</param>
    /// <exception cref="InvalidOperationException">As above.</exception>
    public static double Of(ContextHead head, IEnumerable<Tensor> batches, IRanks? ranks = null)
    {
        var evaluator = new ContextEvaluator(head);
        var images = 0L;
        foreach (var batch in Own(batches, ranks))
            using (batch)
            {
                evaluator.Add(batch);
                images += batch.shape[0];
            }
        return ranks is null or { Count: 1 } ? evaluator.NatsPerDim : Mean(images > 0 ? evaluator.NatsPerDim * images : 0, images, ranks);
    }

    /// Each rank's batches: one in turn
    private static IEnumerable<Tensor> Own(IEnumerable<Tensor> batches, IRanks? ranks)
    {
        foreach (var (index, batch) in batches.Index())
            if (ranks is null || index % ranks.Count == ranks.Rank)
                yield return batch;
            else
                batch.Dispose();
    }

    private static double Mean(double sum, long images, IRanks? ranks)
    {
        double[] totals = [sum, images];
        ranks?.Sum(totals);
        return totals[1] > 0 ? totals[0] / totals[1] : throw new InvalidOperationException("no images to look at");
    }
}
