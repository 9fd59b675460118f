namespace DQ.Core.Training;

/// <summary>What one optimizer step did.</summary>
/// <param name="Step">Its number, from 1.</param>
/// <param name="Loss">Reconstruction + β · latent + what the quantizers add for their codes.</param>
/// <param name="Reconstruction">Nats per dimension; for squared error, of normalized values; 0 where nothing is reconstructed.</param>
/// <param name="Latent">Sum over levels and codebooks of the mean squared distance to the codes, unweighted.</param>
/// <param name="LearningRate">Used in this step.</param>
/// <param name="GradientNorm">Before clipping.</param>
/// <param name="Skipped">True when loss or gradient was not finite or the loss exploded: nothing was learned.</param>
/// <param name="Levels">Bottom first.</param>
/// <param name="UsualLoss">Moving mean of the size before the step; null at the first.</param>
/// <param name="CrossEntropy">−log p(class | image) in nats, mean over the images; null where there are no classes.</param>
/// <param name="Size">What must not explode: reconstruction + latent + cross-entropy.</param>
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
    /// <summary>The loss by which the model is judged: cross-entropy where classes are learned, else reconstruction.</summary>
    public double Judged => CrossEntropy ?? Reconstruction;
}

/// <summary>One level's codebooks in one step.</summary>
/// <param name="Perplexity">exp(entropy) of the codes chosen in this batch, per codebook.</param>
/// <param name="Revived">Codes brought back from the dead, per codebook.</param>
/// <param name="Idle">Codes that this batch did not choose, per codebook, as <see cref="Quantization.CodeHistogram.Idle"/> has them.</param>
public sealed record LevelReport(double[] Perplexity, long[] Revived, byte[][] Idle);
