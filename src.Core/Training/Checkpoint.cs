using DQ.Core.Autoencoders;
using DQ.Core.Formats;

namespace DQ.Core.Training;

/// <summary>A checkpoint of an autoencoder.</summary>
public sealed class Checkpoint : CheckpointFile
{
    /// <summary>The kind of these checkpoints.</summary>
    public const string KindName = "autoencoder";

    private Checkpoint(string path)
        : base(path)
    {
        try
        {
            Spec = SpecJson.Read(SpecOf(KindName), $"{path}: spec");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public AutoencoderSpec Spec { get; }

    /// <exception cref="WeightsException">Not a checkpoint of an autoencoder that this program reads; the message names file and
    /// expectation.</exception>
    public static Checkpoint Open(string path) => new(path);

    /// <summary>Writes model and, when given, optimizer and moving average; the file is written completely or not at all.</summary>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    public static void Write(
        string path,
        HierarchicalAutoencoder model,
        AdamOptimizer? optimizer,
        TrainingProgress progress,
        WeightAverage? average = null
    ) => Write(path, KindName, SpecJson.Write(model.Spec), model, optimizer, progress, average);

    /// <summary>The model with its weights and codebooks, in evaluation mode.</summary>
    /// <exception cref="WeightsException">Some of them are not finite, so that no result would have a meaning.</exception>
    public HierarchicalAutoencoder Model()
    {
        var model = StoredModel();
        if (FiniteValues.Problem(model.state_dict()) is not { } problem)
            return model;
        model.Dispose();
        throw new WeightsException($"{Path}: no number of this model would mean anything: {problem}");
    }

    /// <summary>The same without the check of the values, for exporting them.</summary>
    public HierarchicalAutoencoder StoredModel()
    {
        var model = new HierarchicalAutoencoder(Spec);
        Fill(model);
        model.eval();
        return model;
    }

    /// <summary>The model after the last step, if <see cref="Model"/> is the moving average.</summary>
    public HierarchicalAutoencoder TrainedModel()
    {
        var model = new HierarchicalAutoencoder(Spec);
        FillTrained(model);
        model.eval();
        return model;
    }
}
