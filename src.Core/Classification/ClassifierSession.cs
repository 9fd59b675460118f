using DQ.Core.Images;
using DQ.Core.Quantization;
using DQ.Core.Training;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Classification;

/// <summary>The training of a classifier: cross-entropy, the quantizer's losses, and the autoencoder's where it is trained along.</summary>
public sealed class ClassifierSession : ModelSession
{
    private readonly BatchStatistics statistics;

    /// <param name="spec">What to train.</param>
    /// <param name="training">How; nothing can be frozen.</param>
    /// <param name="seed">Of the first weights and of every later random choice.</param>
    /// <param name="device">Where.</param>
    public ClassifierSession(ClassifierSpec spec, TrainingSpec training, long seed, Device device)
        : this(Seeded(seed, () => new Classifier(spec)), training, seed, device) { }

    private ClassifierSession(Classifier model, TrainingSpec training, long seed, Device device)
        : base(model, model.LearningQuantizers, training, seed, device)
    {
        Model = model;
        statistics = new BatchStatistics(model);
    }

    public Classifier Model { get; }

    /// <summary>A session whose autoencoder is that of a checkpoint; the rest is new.</summary>
    /// <param name="path">Checkpoint of the autoencoder in the spec.</param>
    /// <param name="spec">What to train.</param>
    /// <param name="training">How.</param>
    /// <param name="seed">As above.</param>
    /// <param name="device">Where.</param>
    /// <exception cref="Formats.WeightsException">The file can't be used; the message names it and why.</exception>
    public static ClassifierSession OnAutoencoder(string path, ClassifierSpec spec, TrainingSpec training, long seed, Device device)
    {
        using var file = Checkpoint.Open(path);
        var session = new ClassifierSession(spec, training, seed, device);
        file.Fill(
            session.Model.Autoencoder ?? throw new ArgumentException("expected a classifier of an autoencoder's codes", nameof(spec))
        );
        return session;
    }

    /// <summary>The session a checkpoint was written by.</summary>
    /// <exception cref="Formats.WeightsException">The file can't be used; the message names it and why.</exception>
    public static ClassifierSession Load(string path, TrainingSpec training, Device device)
    {
        using var file = ClassifierCheckpoint.Open(path);
        var session = new ClassifierSession(file.Spec, training, file.Progress.Seed, device);
        session.Restore(file);
        return session;
    }

    /// <exception cref="ArgumentException">The batch has no labels.</exception>
    public override StepReport Step(Batch batch) =>
        Step(batch.Pixels, batch.Labels ?? throw new ArgumentException("expected a batch with labels", nameof(batch)));

    protected override void FirstCodes(IReadOnlyList<Tensor> batches) => Model.InitializeCodebooks(batches, Seed);

    protected override (ModelLosses Losses, IReadOnlyList<Quantized> Levels) Pass(Tensor pixels, Tensor targets, TrainingMoment moment)
    {
        var pass = Model.Run(pixels, moment);
        var crossEntropy = nn.functional.cross_entropy(pass.Logits, targets);
        if (pass.Reconstruction is { } reconstruction)
        {
            var own = ModelLosses.Of(Model.Autoencoder!, reconstruction, pixels);
            return (
                own with
                {
                    Total = crossEntropy + Kept(Model.Spec.AutoencoderWeight) * own.Total,
                    CrossEntropy = crossEntropy,
                },
                pass.Levels
            );
        }
        if (Quantizers.Count == 0)
            return (new(crossEntropy, zeros([]), zeros([]), crossEntropy), []);
        var level = pass.Levels[0];
        var total = crossEntropy + Kept(Model.Spec.Quantizer.Commitment) * level.LatentLoss;
        return (new(level.CodeLoss is { } codes ? total + codes : total, zeros([]), level.LatentLoss, crossEntropy), pass.Levels);
    }

    protected override void Write(string path, AdamOptimizer? optimizer) => ClassifierCheckpoint.Write(path, Model, optimizer, Progress);

    protected override void Remember() => statistics.Keep();

    protected override void Undo() => statistics.Restore();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            statistics.Dispose();
        base.Dispose(disposing);
    }
}
