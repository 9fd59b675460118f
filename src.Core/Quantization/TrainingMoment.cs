using DQ.Core.Parallel;

namespace DQ.Core.Quantization;

/// <summary>The position of training: it determines every random choice of a pass, and the progress of annealing.</summary>
/// <param name="Seed">Seed of the run.</param>
/// <param name="Step">Optimizer steps done, from 0.</param>
/// <param name="Steps">Optimizer steps of the whole run.</param>
/// <param name="MicroBatch">Number of the micro-batch within the step, from 0.</param>
/// <param name="Sharing">How the micro-batch lies on several ranks; null in one process.</param>
public readonly record struct TrainingMoment(long Seed, long Step, long Steps, int MicroBatch, Sharing? Sharing = null);
