using DQ.Core.Images;
using DQ.Core.Parallel;
using DQ.Core.Quantization;
using DQ.Core.Training;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Classification;

/// <summary>Trains a classifier: cross-entropy, the quantizer's losses, and the autoencoder's losses if it is trained too.</summary>
public sealed class ClassifierObjective : IObjective
{
    private BatchStatistics? statistics; // of the model that is trained
    private bool codesAreKept;

    /// <param name="spec">Spec of the model to train; no part of it can be frozen.</param>
    /// <param name="seed">Seed of libtorch's random first weights.</param>
    public ClassifierObjective(ClassifierSpec spec, long seed)
    {
        manual_seed(seed);
        Model = new Classifier(spec);
    }

    /// <summary>An objective whose autoencoder comes from a checkpoint; the other weights are new.</summary>
    /// <param name="path">Checkpoint of the autoencoder in the spec.</param>
    /// <param name="spec">Spec of the model to train.</param>
    /// <param name="seed">As above.</param>
    /// <exception cref="Formats.WeightsException">The file can't be used; the message names the file and the reason.</exception>
    public static ClassifierObjective OnAutoencoder(string path, ClassifierSpec spec, long seed)
    {
        using var file = Checkpoint.Open(path);
        var objective = new ClassifierObjective(spec, seed);
        file.Fill(
            objective.Model.Autoencoder ?? throw new ArgumentException("expected a classifier of an autoencoder's codes", nameof(spec))
        );
        return objective;
    }

    public Classifier Model { get; }

    public nn.Module Network => Model;

    public IReadOnlyList<Quantizer> Quantizers => Model.LearningQuantizers;

    public bool CodesAreChosen => codesAreKept || !Quantizers.Any(quantizer => quantizer.NeedsInitialization);

    public void KeepCodes() => codesAreKept = true;

    public string Kind => ClassifierCheckpoint.KindName;

    public IReadOnlyList<CodeGrid> Grids(int height, int width) => Quantizers.Count == 0 ? [] : Model.Grids(height, width);

    public void ChooseFirstCodes(IReadOnlyList<Tensor> batches, long seed, Sharing? sharing) =>
        Model.InitializeCodebooks(batches, seed, sharing);

    public Tensor Targets(Batch batch) => batch.Labels ?? throw new ArgumentException("expected a batch with labels", nameof(batch));

    public (ModelLosses Losses, IReadOnlyList<Quantized> Levels) Pass(
        Tensor pixels,
        Tensor targets,
        TrainingMoment moment,
        Tensor? positions
    )
    {
        var pass = Model.Run(pixels, moment);
        var crossEntropy = nn.functional.cross_entropy(pass.Logits, targets);
        if (pass.Reconstruction is { } reconstruction)
        {
            var own = ModelLosses.Of(Model.Autoencoder!, reconstruction, pixels);
            return (
                own with
                {
                    Total = crossEntropy.Plus(Kept(Model.Spec.AutoencoderWeight) * own.Total),
                    CrossEntropy = crossEntropy,
                },
                pass.Levels
            );
        }
        if (Quantizers.Count == 0)
            return (new(crossEntropy, zeros([]), zeros([]), crossEntropy), []);
        var level = pass.Levels[0];
        var total = crossEntropy.Plus(Kept(Model.Spec.Quantizer.Commitment) * level.LatentLoss);
        return (new(level.CodeLoss is { } codes ? total.Plus(codes) : total, zeros([]), level.LatentLoss, crossEntropy), pass.Levels);
    }

    public void Remember() => (statistics ??= new BatchStatistics(Model)).Keep();

    public void Undo() => statistics?.Restore();

    public void Write(string path, AdamOptimizer? optimizer, TrainingProgress progress, WeightAverage? average) =>
        ClassifierCheckpoint.Write(path, Model, optimizer, progress, average);

    public void Dispose()
    {
        statistics?.Dispose();
        Model.Dispose();
    }
}
