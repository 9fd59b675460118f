using DQ.Core.Autoencoders;

namespace DQ.Core.Training;

/// <summary>How a model is trained: optimizer, schedule, batches. Units in the names or here.</summary>
public sealed record TrainingSpec
{
    /// <summary>Optimizer steps to take.</summary>
    public long Steps { get; init; } = 500;

    /// <summary>Images per optimizer step.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>Number of micro-batches of an optimizer step; must divide the batch size.</summary>
    public int Accumulate { get; init; } = 1;

    /// <summary>Peak learning rate of Adam.</summary>
    public double LearningRate { get; init; } = 2e-4;

    /// <summary><c>constant</c> or <c>cosine</c> (to <see cref="FinalLearningRate"/> at the last step).</summary>
    public string Schedule { get; init; } = "constant";

    /// <summary>Learning rate at the last step of a cosine schedule.</summary>
    public double FinalLearningRate { get; init; }

    /// <summary>Steps of linear warm-up from 0.</summary>
    public long WarmupSteps { get; init; }

    /// <summary>Decoupled weight decay per step, multiplied by the learning rate (AdamW).</summary>
    public double WeightDecay { get; init; }

    /// <summary>Decay of Adam's second moments per step; 0.999 is usual; with large learning rates a smaller value adapts faster.</summary>
    public double SecondMoment { get; init; } = 0.999;

    /// <summary>Pixels per optimizer step that a context head learns from, at random places of the step's images.</summary>
    public int PixelsPerStep { get; init; } = 16384;

    /// <summary>Gradient norm above which gradients are scaled down; 0 turns clipping off.</summary>
    public double ClipNorm { get; init; } = 2;

    /// <summary>
    /// A step is skipped if its reconstruction plus latent loss is more than this many times their moving mean, as if it were not finite. 0
    /// turns this off.
    /// </summary>
    public double ExplosionFactor { get; init; } = 20;

    /// <summary>
    /// Decay of a moving average of the weights and codebooks, with which the model is evaluated; 0 for none. 0.999 averages over about the
    /// last thousand steps.
    /// </summary>
    public double WeightAverage { get; init; }

    /// <summary>Parts of the model that are not trained: encoders, projections, codebooks, conditioners, upsamplers, decoder.</summary>
    public IReadOnlyList<string> Freeze { get; init; } = [];

    /// <summary>Number format of convolutions in training: <c>float32</c>, <c>tf32</c> (on a GPU) or <c>bfloat16</c>. Weights, codebooks,
    /// quantizers, likelihood, optimizer and evaluation are float32 always.</summary>
    public string Precision { get; init; } = NumberFormats.Float32;

    /// <summary>The same settings with a rate that only <see cref="TrainingSession.RateFactor"/> changes, and without skipped
    /// steps.</summary>
    public TrainingSpec UnderRate(double rate) =>
        this with
        {
            LearningRate = rate,
            Schedule = "constant",
            WarmupSteps = 0,
            ExplosionFactor = 0,
        };

    public IEnumerable<SpecProblem> Problems()
    {
        if (Steps < 1)
            yield return new("steps", $"expected an integer of at least 1, got {Steps}");
        if (BatchSize < 1)
            yield return new("batch_size", $"expected an integer of at least 1, got {BatchSize}");
        if (Accumulate < 1 || BatchSize % Math.Max(1, Accumulate) != 0)
            yield return new("accumulate", $"expected a divisor of batch_size {BatchSize}, got {Accumulate}");
        var hasRate = LearningRate > 0 && double.IsFinite(LearningRate);
        if (!hasRate)
            yield return new("learning_rate", $"expected a number above 0, got {LearningRate}");
        if (Schedule is not ("constant" or "cosine"))
            yield return new("schedule", $"expected constant or cosine, got '{Schedule}'");
        if (!(FinalLearningRate >= 0) || (hasRate && FinalLearningRate > LearningRate))
            yield return new("final_learning_rate", $"expected a number from 0 to learning_rate, got {FinalLearningRate}");
        if (WarmupSteps < 0 || (Steps >= 1 && WarmupSteps > Steps))
            yield return new("warmup_steps", $"expected an integer from 0 to steps, got {WarmupSteps}");
        if (!(WeightDecay >= 0))
            yield return new("weight_decay", $"expected a number of at least 0, got {WeightDecay}");
        if (!(SecondMoment is >= 0 and < 1))
            yield return new("second_moment", $"expected a number from 0 to below 1, got {SecondMoment}");
        if (PixelsPerStep < 1)
            yield return new("pixels_per_step", $"expected an integer of at least 1, got {PixelsPerStep}");
        if (!(ClipNorm >= 0))
            yield return new("clip_norm", $"expected a number of at least 0, got {ClipNorm}");
        if (ExplosionFactor != 0 && !(ExplosionFactor > 1))
            yield return new("explosion_factor", $"expected 0 or a number above 1, got {ExplosionFactor}");
        if (!(WeightAverage >= 0 && WeightAverage < 1))
            yield return new("weight_average", $"expected a number of at least 0 and below 1, got {WeightAverage}");
        foreach (var (index, part) in Freeze.Index())
            if (!HierarchicalAutoencoder.PartNames.Contains(part))
                yield return new(
                    $"freeze[{index}]",
                    $"expected one of {string.Join(", ", HierarchicalAutoencoder.PartNames)}, got '{part}'"
                );
        // codebooks can learn without gradients, but then no parameter is left for the optimizer
        if (HierarchicalAutoencoder.PartNames.Where(part => part != "codebooks").All(Freeze.Contains))
            yield return new("freeze", "expected a part besides the codebooks that is left to train");
        if (!NumberFormats.Names.Contains(Precision))
            yield return new("precision", $"expected one of {string.Join(", ", NumberFormats.Names)}, got '{Precision}'");
    }
}
