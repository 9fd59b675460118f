using DQ.Core.Autoencoders;
using DQ.Core.Images;
using DQ.Core.Parallel;
using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>Trains an autoencoder to reconstruct its input: <see cref="ModelLosses"/> against its own pixels.</summary>
public sealed class AutoencoderObjective : IObjective
{
    private readonly TrainingSpec? training;

    /// <param name="spec">Spec of the model to train.</param>
    /// <param name="freeze">Parts that are not trained, see <see cref="TrainingSpec.Freeze"/>.</param>
    /// <param name="seed">Seed of libtorch's random first weights.</param>
    /// <param name="training">Settings with the number of pixels for a context head; null for all pixels.</param>
    public AutoencoderObjective(AutoencoderSpec spec, IReadOnlyList<string> freeze, long seed, TrainingSpec? training = null)
    {
        this.training = training;
        manual_seed(seed);
        Model = new HierarchicalAutoencoder(spec);
        foreach (var parameter in freeze.SelectMany(part => Model.Part(part).parameters()))
            parameter.requires_grad = false;
        CodesAreChosen = !Model.Quantizers.Any(quantizer => quantizer.NeedsInitialization);
    }

    /// <summary>An objective that begins with a checkpoint's weights and codebooks.</summary>
    /// <param name="path">Checkpoint of a model with the same shapes; the images may have another size.</param>
    /// <param name="spec">Spec of the model to train.</param>
    /// <param name="freeze">As above.</param>
    /// <param name="seed">As above.</param>
    /// <param name="training">As above.</param>
    /// <exception cref="Formats.WeightsException">The file can't be used; the message names the file and the reason.</exception>
    public static AutoencoderObjective StartingFrom(
        string path,
        AutoencoderSpec spec,
        IReadOnlyList<string> freeze,
        long seed,
        TrainingSpec? training = null
    )
    {
        using var file = Checkpoint.Open(path);
        var objective = new AutoencoderObjective(spec, freeze, seed, training);
        file.Fill(objective.Model);
        objective.CodesAreChosen = file.Progress.CodebooksReady;
        return objective;
    }

    public HierarchicalAutoencoder Model { get; }

    public nn.Module Network => Model;

    public IReadOnlyList<Quantizer> Quantizers => Model.Quantizers;

    public bool CodesAreChosen { get; private set; }

    public void KeepCodes() => CodesAreChosen = true;

    public bool DependsOnPixelsOnly => true;

    public string Kind => Checkpoint.KindName;

    public IReadOnlyList<CodeGrid> Grids(int height, int width) => Model.Spec.Grids(height, width);

    public void ChooseFirstCodes(IReadOnlyList<Tensor> batches, long seed, Sharing? sharing) =>
        Model.InitializeCodebooks(batches, seed, sharing);

    public Tensor Targets(Batch batch) => batch.Pixels;

    public Tensor? Positions(Tensor pixels, TrainingMoment moment) =>
        Model.Context is null || training is null ? null : RandomPixels.Of(training, moment, pixels);

    public (ModelLosses Losses, IReadOnlyList<Quantized> Levels) Pass(
        Tensor pixels,
        Tensor targets,
        TrainingMoment moment,
        Tensor? positions
    )
    {
        var pass = Model.Run(pixels, moment);
        var weight = positions is null || training is null ? 1 : RandomPixels.Weight(training, moment, positions);
        return (ModelLosses.Of(Model, pass, targets, positions, weight), pass.Levels);
    }

    public void Write(string path, AdamOptimizer? optimizer, TrainingProgress progress, WeightAverage? average) =>
        Checkpoint.Write(path, Model, optimizer, progress, average);

    public void Dispose() => Model.Dispose();
}
