using DQ.Core.Autoencoders;
using DQ.Core.Likelihoods.Context;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>The reconstruction loss alone, for the quick validations during training.</summary>
public static class MeanLoss
{
    /// <summary>Mean over images of −log p(x|z) in nats per dimension, or of the squared error on normalized values.</summary>
    /// <param name="model">The model, which is set to evaluation mode.</param>
    /// <param name="batches">Batches (B, C, H, W) uint8, which are disposed here.</param>
    /// <exception cref="InvalidOperationException">There are no images.</exception>
    public static double Of(HierarchicalAutoencoder model, IEnumerable<Tensor> batches)
    {
        model.eval();
        var device = model.parameters().First().device;
        var (sum, images) = (0.0, 0L);
        foreach (var batch in batches)
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
        return images > 0 ? sum / images : throw new InvalidOperationException("no images to look at");
    }

    /// <summary>Mean over images of −log p(x) of a model without levels, in nats per dimension.</summary>
    /// <param name="head">The model.</param>
    /// <param name="batches">As above.</param>
    /// <exception cref="InvalidOperationException">As above.</exception>
    public static double Of(ContextHead head, IEnumerable<Tensor> batches)
    {
        var evaluator = new ContextEvaluator(head);
        foreach (var batch in batches)
            using (batch)
                evaluator.Add(batch);
        return evaluator.NatsPerDim;
    }
}
