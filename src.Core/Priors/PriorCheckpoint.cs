using DQ.Core.Formats;
using DQ.Core.Training;

namespace DQ.Core.Priors;

/// <summary>A checkpoint of a prior. The model of the codes is not in it.</summary>
public sealed class PriorCheckpoint : CheckpointFile
{
    /// <summary>The kind of these checkpoints.</summary>
    public const string KindName = "prior";

    private PriorCheckpoint(string path)
        : base(path)
    {
        try
        {
            Spec = PriorSpec.Read(SpecOf(KindName), $"{path}: spec");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public PriorSpec Spec { get; }

    /// <exception cref="WeightsException">Not a checkpoint of a prior that this program reads; the message names file and
    /// expectation.</exception>
    public static PriorCheckpoint Open(string path) => new(path);

    /// <summary>Writes the prior and, when given, its optimizer and its moving average; the file is written completely or not at
    /// all.</summary>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    public static void Write(
        string path,
        PriorNetwork prior,
        AdamOptimizer? optimizer,
        TrainingProgress progress,
        WeightAverage? average = null
    ) => Write(path, KindName, prior.Spec.ToJson(), prior, optimizer, progress, average);

    /// <summary>The prior with its weights.</summary>
    /// <exception cref="WeightsException">Some of them are not finite, so that no result would have a meaning.</exception>
    public PriorNetwork Network()
    {
        var prior = new PriorNetwork(Spec);
        Fill(prior);
        if (FiniteValues.Problem(prior.state_dict()) is not { } problem)
            return prior;
        prior.Dispose();
        throw new WeightsException($"{Path}: no number of this prior would mean anything: {problem}");
    }
}
