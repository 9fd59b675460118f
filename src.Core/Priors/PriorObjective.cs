using DQ.Core.Autoencoders;
using DQ.Core.Codes;
using DQ.Core.Images;
using DQ.Core.Parallel;
using DQ.Core.Quantization;
using DQ.Core.Training;
using static TorchSharp.torch;

namespace DQ.Core.Priors;

/// <summary>Trains a prior on the codes that a model gives images. The model does not change.</summary>
public sealed class PriorObjective : IObjective
{
    private readonly HierarchicalAutoencoder model;

    /// <param name="model">The model, in evaluation mode, on the device of the training; the caller disposes it.</param>
    /// <param name="spec">The shape of the prior, for this model.</param>
    /// <param name="seed">Seed of libtorch's random first weights.</param>
    public PriorObjective(HierarchicalAutoencoder model, PriorSpec spec, long seed)
    {
        manual_seed(seed);
        this.model = model;
        Prior = new PriorNetwork(spec);
    }

    public PriorNetwork Prior { get; }

    public nn.Module Network => Prior;

    public IReadOnlyList<Quantizer> Quantizers => [];

    public bool CodesAreChosen => true;

    public void KeepCodes() { }

    public string Kind => PriorCheckpoint.KindName;

    public IReadOnlyList<CodeGrid> Grids(int height, int width) => [];

    public void ChooseFirstCodes(IReadOnlyList<Tensor> batches, long seed, Sharing? sharing) { }

    public Tensor Targets(Batch batch) => batch.Pixels;

    /// <summary>The spec of a prior for a model's codes.</summary>
    public static PriorSpec SpecFor(HierarchicalAutoencoder model, int radius, int embedding, int width) =>
        new()
        {
            Model = ModelFingerprint.Of(model),
            Levels = ModelCodes.Levels(model),
            Radius = radius,
            Embedding = embedding,
            Width = width,
        };

    public (ModelLosses Losses, IReadOnlyList<Quantized> Levels) Pass(
        Tensor pixels,
        Tensor targets,
        TrainingMoment moment,
        Tensor? positions
    )
    {
        var loss = Prior.MeanNats(model.Encode(pixels));
        return (new(loss, zeros([]), zeros([]), loss), []);
    }

    public void Write(string path, AdamOptimizer? optimizer, TrainingProgress progress, WeightAverage? average) =>
        PriorCheckpoint.Write(path, Prior, optimizer, progress, average);

    public void Dispose() => Prior.Dispose();
}
