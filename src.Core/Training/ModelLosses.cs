using DQ.Core.Autoencoders;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>
/// The losses of one pass, scalars: Total = Reconstruction + β · Latent + the quantizers' code losses + the cross-entropy if classes are
/// learned.
/// </summary>
/// <param name="Total">The loss that is minimized.</param>
/// <param name="Reconstruction">Mean over the batch, or over the context head's pixels if there is one; in nats per dimension, or squared
/// error on normalized values. 0 if nothing is reconstructed.</param>
/// <param name="Latent">Sum over levels and codebooks, unweighted; 0 without codes.</param>
/// <param name="CrossEntropy">−log p(class | image), mean over the batch, in nats; of a prior −log p of a code, mean over codes; else
/// null.</param>
public sealed record ModelLosses(Tensor Total, Tensor Reconstruction, Tensor Latent, Tensor? CrossEntropy = null)
{
    /// <param name="model">The model, whose weight β and likelihood are used.</param>
    /// <param name="pass">The model's pass over a batch.</param>
    /// <param name="targets">(B, C, H, W) uint8, the batch's pixels.</param>
    /// <param name="positions">(P) int64, numbers of the pixels for a context head; null for all.</param>
    /// <param name="weight">Of the mean over these pixels; 1 in one process.</param>
    public static ModelLosses Of(
        HierarchicalAutoencoder model,
        ForwardPass pass,
        Tensor targets,
        Tensor? positions = null,
        double weight = 1
    )
    {
        var reconstruction = model.Likelihood.Loss(pass.Output, targets).mean();
        var latent = pass.Levels.Select(level => level.LatentLoss).Aggregate((sum, level) => sum.Plus(level));
        var pixels = reconstruction;
        if (model.Context is { } context)
        {
            reconstruction = context.Loss(pass.Features!, targets, positions);
            reconstruction = weight == 1 ? reconstruction : reconstruction * Kept(weight);
            pixels = reconstruction.Plus(Kept(model.Spec.Likelihood.AuxiliaryWeight) * pixels);
        }
        var total = pixels.Plus(Kept(model.Spec.Quantizer.Commitment) * latent);
        return new(
            pass.Levels.Select(level => level.CodeLoss).OfType<Tensor>().Aggregate(total, (sum, level) => sum.Plus(level)),
            reconstruction,
            latent
        );
    }
}
