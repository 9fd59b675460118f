using DQ.Core.Training;

namespace DQ.Core.Classification;

/// <summary>A checkpoint of a classifier; that of the autoencoder whose codes it sees is in it.</summary>
public sealed class ClassifierCheckpoint : CheckpointFile
{
    /// <summary>Its kind.</summary>
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

    /// <summary>Writes model and, when given, optimizer and moving average; the file appears whole or not at all.</summary>
    /// <exception cref="IOException">It can't be written; what was there before is intact.</exception>
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

    /// <summary>The model as the last step left it, where <see cref="Model"/> has the moving average.</summary>
    public Classifier TrainedModel()
    {
        var model = new Classifier(Spec);
        FillTrained(model);
        model.eval();
        return model;
    }
}
