using DQ.Core.Training;

namespace DQ.Core.Classification;

/// <summary>A checkpoint of a classifier. It includes the autoencoder whose codes are the input.</summary>
public sealed class ClassifierCheckpoint : CheckpointFile
{
    /// <summary>The kind of these checkpoints.</summary>
    public const string KindName = "classifier";

    private ClassifierCheckpoint(string path)
        : base(path)
    {
        try
        {
            Spec = ClassifierSpec.Read(SpecOf(KindName), $"{path}: spec");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public ClassifierSpec Spec { get; }

    /// <exception cref="Formats.WeightsException">Not a checkpoint of a classifier that this program reads; the message names file and
    /// expectation.</exception>
    public static ClassifierCheckpoint Open(string path) => new(path);

    /// <summary>Writes model and, when given, optimizer and moving average; the file is written completely or not at all.</summary>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    public static void Write(
        string path,
        Classifier model,
        AdamOptimizer? optimizer,
        TrainingProgress progress,
        WeightAverage? average = null
    ) => Write(path, KindName, model.Spec.ToJson(), model, optimizer, progress, average);

    /// <summary>The model with its weights and codebooks, in evaluation mode.</summary>
    public Classifier Model()
    {
        var model = new Classifier(Spec);
        Fill(model);
        model.eval();
        return model;
    }

    /// <summary>The model after the last step, if <see cref="Model"/> is the moving average.</summary>
    public Classifier TrainedModel()
    {
        var model = new Classifier(Spec);
        FillTrained(model);
        model.eval();
        return model;
    }
}
