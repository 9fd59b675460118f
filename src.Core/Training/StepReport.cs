namespace DQ.Core.Training;

/// <summary>The results of one optimizer step.</summary>
/// <param name="Step">Number of the step, from 1.</param>
/// <param name="Loss">The total loss: reconstruction + β · latent + the quantizers' code losses.</param>
/// <param name="Reconstruction">Nats per dimension, or squared error of normalized values; 0 if nothing is reconstructed.</param>
/// <param name="Latent">Sum over levels and codebooks of the mean squared distance to the codes, unweighted.</param>
/// <param name="LearningRate">Learning rate of this step.</param>
/// <param name="GradientNorm">Norm of all gradients before clipping.</param>
/// <param name="Skipped">True if loss or gradient was not finite or the loss exploded. Then the model was not changed.</param>
/// <param name="Levels">Reports of the levels, bottom first.</param>
/// <param name="UsualLoss">Moving mean of <paramref name="Size"/> before the step; null at the first step.</param>
/// <param name="CrossEntropy">−log p(class | image) in nats, mean over the images; null without classes.</param>
/// <param name="Size">The loss that must not explode: reconstruction + latent + cross-entropy.</param>
public sealed record StepReport(
    long Step,
    double Loss,
    double Reconstruction,
    double Latent,
    double LearningRate,
    double GradientNorm,
    bool Skipped,
    IReadOnlyList<LevelReport> Levels,
    double? UsualLoss = null,
    double? CrossEntropy = null,
    double Size = 0
)
{
    /// <summary>The loss by which the model is judged: cross-entropy if classes are learned, else reconstruction.</summary>
    public double Judged => CrossEntropy ?? Reconstruction;
}

/// <summary>One level's codebooks in one step.</summary>
/// <param name="Perplexity">exp(entropy) of the codes chosen in this batch, per codebook.</param>
/// <param name="Revived">Number of revived codes per codebook.</param>
/// <param name="Idle">Codes that this batch did not choose, per codebook, in the form of
/// <see cref="Quantization.CodeHistogram.Idle"/>.</param>
public sealed record LevelReport(double[] Perplexity, long[] Revived, byte[][] Idle);
