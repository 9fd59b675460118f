namespace DQ.Core.Training;

/// <summary>The learning rate as a function of the step.</summary>
public static class LearningRate
{
    /// <param name="spec">Settings: peak, schedule, warm-up, final rate.</param>
    /// <param name="step">Optimizer steps already done, from 0.</param>
    public static double At(TrainingSpec spec, long step)
    {
        if (step < spec.WarmupSteps)
            return spec.LearningRate * (step + 1) / spec.WarmupSteps;
        if (spec.Schedule == "constant")
            return spec.LearningRate;
        var span = Math.Max(1, spec.Steps - 1 - spec.WarmupSteps);
        var share = Math.Min(1.0, (double)(step - spec.WarmupSteps) / span);
        return spec.FinalLearningRate + (spec.LearningRate - spec.FinalLearningRate) * (1 + Math.Cos(Math.PI * share)) / 2;
    }
}
