using DQ.Core.Autoencoders;
using DQ.Core.Formats;

namespace DQ.Core.Training;

/// <summary>A checkpoint of an autoencoder.</summary>
public sealed class Checkpoint : CheckpointFile
{
    /// <summary>Its kind.</summary>
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

    /// <summary>Writes model and, when given, optimizer and moving average; the file appears whole or not at all.</summary>
    /// <exception cref="IOException">It can't be written; what was there before is intact.</exception>
    public static void Write(
        string path,
        HierarchicalAutoencoder model,
        AdamOptimizer? optimizer,
        TrainingProgress progress,
        WeightAverage? average = null
    ) => Write(path, KindName, SpecJson.Write(model.Spec), model, optimizer, progress, average);

    /// <summary>The model with its weights and codebooks, in evaluation mode.</summary>
    /// <exception cref="WeightsException">Some of them are not finite: no number it gives would mean anything.</exception>
    public HierarchicalAutoencoder Model()
    {
        var model = StoredModel();
        if (FiniteValues.Problem(model.state_dict()) is not { } problem)
            return model;
        model.Dispose();
        throw new WeightsException($"{Path}: no number of this model would mean anything: {problem}");
    }

    /// <summary>The same, whatever the values are: to write them elsewhere.</summary>
    public HierarchicalAutoencoder StoredModel()
    {
        var model = new HierarchicalAutoencoder(Spec);
        Fill(model);
        model.eval();
        return model;
    }

    /// <summary>The model as the last step left it, where <see cref="Model"/> has the moving average.</summary>
    public HierarchicalAutoencoder TrainedModel()
    {
        var model = new HierarchicalAutoencoder(Spec);
        FillTrained(model);
        model.eval();
        return model;
    }
}
