using DQ.Core.Parallel;

namespace DQ.Core.Quantization;

/// <summary>Where training is: the name of every random choice of a pass, and how far annealing has come.</summary>
/// <param name="Seed">Of the run.</param>
/// <param name="Step">Optimizer steps done, from 0.</param>
/// <param name="Steps">Of the whole run.</param>
/// <param name="MicroBatch">Within the step, from 0.</param>
/// <param name="Sharing">How the micro-batch lies on several ranks; null in one process.</param>
public readonly record struct TrainingMoment(long Seed, long Step, long Steps, int MicroBatch, Sharing? Sharing = null);
