using DQ.Core.Images;
using DQ.Core.Likelihoods.Context;
using DQ.Core.Parallel;
using DQ.Core.Quantization;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>Trains a context head alone, a model without levels: the lossless codec, and the control for models with codes.</summary>
public sealed class ContextObjective : IObjective
{
    private readonly TrainingSpec training;

    /// <param name="spec">Spec of the model to train.</param>
    /// <param name="training">Settings with the number of pixels per step.</param>
    /// <param name="seed">Seed of libtorch's random first weights.</param>
    public ContextObjective(ContextSpec spec, TrainingSpec training, long seed)
    {
        manual_seed(seed);
        this.training = training;
        Model = new ContextHead(spec);
    }

    /// <summary>An objective that begins with a checkpoint's weights.</summary>
    /// <param name="path">Checkpoint of a head with the same spec.</param>
    /// <param name="spec">Spec of the model to train.</param>
    /// <param name="training">As above.</param>
    /// <param name="seed">As above.</param>
    /// <exception cref="Formats.WeightsException">The file can't be used; the message names the file and the reason.</exception>
    public static ContextObjective StartingFrom(string path, ContextSpec spec, TrainingSpec training, long seed)
    {
        using var file = ContextCheckpoint.Open(path);
        var objective = new ContextObjective(spec, training, seed);
        file.Fill(objective.Model);
        return objective;
    }

    public ContextHead Model { get; }

    public nn.Module Network => Model;

    public IReadOnlyList<Quantizer> Quantizers => [];

    public bool CodesAreChosen => true;

    public void KeepCodes() { }

    public string Kind => ContextCheckpoint.KindName;

    public IReadOnlyList<CodeGrid> Grids(int height, int width) => [];

    public void ChooseFirstCodes(IReadOnlyList<Tensor> batches, long seed, Sharing? sharing) { }

    public Tensor Targets(Batch batch) => batch.Pixels;

    public bool DependsOnPixelsOnly => true;

    public Tensor? Positions(Tensor pixels, TrainingMoment moment) => RandomPixels.Of(training, moment, pixels);

    public (ModelLosses Losses, IReadOnlyList<Quantized> Levels) Pass(
        Tensor pixels,
        Tensor targets,
        TrainingMoment moment,
        Tensor? positions
    )
    {
        var shown = positions ?? throw new ArgumentNullException(nameof(positions));
        var weight = RandomPixels.Weight(training, moment, shown);
        var loss = Model.Loss(pixels, shown);
        loss = weight == 1 ? loss : loss * Kept(weight);
        return (new(loss, loss, zeros([], device: pixels.device)), []);
    }

    public void Write(string path, AdamOptimizer? optimizer, TrainingProgress progress, WeightAverage? average) =>
        ContextCheckpoint.Write(path, Model, optimizer, progress, average);

    public void Dispose() => Model.Dispose();
}
