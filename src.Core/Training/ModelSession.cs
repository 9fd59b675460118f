using DQ.Core.Images;
using DQ.Core.Quantization;
using TorchSharp;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>A model, its optimizer and where they are: everything a training run keeps between two steps, whatever the model is for.</summary>
/// <remarks>
/// Random choices are functions of (seed, step), so the state is weights, codebooks, moments and counters, and a session
/// loaded from a checkpoint goes on exactly as the one that wrote it.
/// </remarks>
public abstract class ModelSession : IDisposable
{
    /// <summary>Weight of the past in the moving mean of the loss.</summary>
    private const double UsualLossMemory = 0.9;

    private readonly nn.Module model;
    private readonly bool codesLearn;
    private readonly StepSums sums; // kept from step to step for its arrays
    private double? usualLoss;

    /// <param name="model">What to train; disposed with this. What has no gradient stays as it is.</param>
    /// <param name="quantizers">Its quantizers whose codes learn, bottom first.</param>
    /// <param name="training">How.</param>
    /// <param name="seed">Of every random choice.</param>
    /// <param name="device">Where; the model is brought there.</param>
    protected ModelSession(nn.Module model, IReadOnlyList<Quantizer> quantizers, TrainingSpec training, long seed, Device device)
    {
        (this.model, Quantizers, Training, Seed, Device) = (model, quantizers, training, seed, device);
        codesLearn = !training.Freeze.Contains("codebooks");
        sums = new StepSums(quantizers);
        model.to(device);
        CodebooksReady = !quantizers.Any(quantizer => quantizer.NeedsInitialization);
        Optimizer = new AdamOptimizer(model.named_parameters().Where(entry => entry.parameter.requires_grad));
    }

    /// <summary>Quantizers whose codes learn, bottom first.</summary>
    public IReadOnlyList<Quantizer> Quantizers { get; }

    public long Seed { get; }

    /// <summary>Optimizer steps done, skipped ones among them.</summary>
    public long StepsDone { get; private set; }

    /// <summary>Training images seen, with repetition.</summary>
    public long ImagesSeen { get; private set; }

    /// <summary>False until <see cref="InitializeCodebooks"/> on a session with codebooks that start from k-means.</summary>
    public bool CodebooksReady { get; protected set; }

    /// <summary>Factor on the learning rate, lowered after a numerical failure.</summary>
    public double RateFactor { get; set; } = 1;

    /// <summary>The counters, as a checkpoint holds them.</summary>
    public TrainingProgress Progress =>
        new(Seed, StepsDone, ImagesSeen, CodebooksReady, RateFactor, Optimizer.Updates, usualLoss, Device.ToString(), get_num_threads());

    /// <summary>For measurements of a step's parts.</summary>
    internal AdamOptimizer Optimizer { get; }

    protected TrainingSpec Training { get; }

    protected Device Device { get; }

    /// <summary>Fits the first codes to the first batches, (B, C, H, W) uint8 each.</summary>
    public void InitializeCodebooks(IReadOnlyList<Tensor> batches)
    {
        using var scope = NewDisposeScope();
        FirstCodes([.. batches.Select(batch => batch.to(Device))]);
        CodebooksReady = true;
    }

    /// <summary>One optimizer step, cut in micro-batches when the spec says so.</summary>
    /// <exception cref="InvalidOperationException">The codebooks are not initialized.</exception>
    public abstract StepReport Step(Batch batch);

    /// <summary>Writes everything needed to go on exactly; the file appears whole or not at all.</summary>
    /// <exception cref="IOException">It can't be written; what was there before is intact.</exception>
    public void Save(string path) => Write(path, Optimizer);

    /// <summary>Writes the model alone, for evaluation.</summary>
    /// <exception cref="IOException">As above.</exception>
    public void SaveModel(string path) => Write(path, null);

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        if (!disposing)
            return;
        Optimizer.Dispose();
        model.Dispose();
    }

    /// <summary>A model made from its seed: the first weights are libtorch's draws from it.</summary>
    protected static TModel Seeded<TModel>(long seed, Func<TModel> make)
    {
        manual_seed(seed);
        return make();
    }

    /// <summary><see cref="InitializeCodebooks"/> on the device.</summary>
    protected abstract void FirstCodes(IReadOnlyList<Tensor> batches);

    /// <summary>A pass with gradients: its losses, and what the quantizers that learn chose.</summary>
    /// <param name="pixels">(B, C, H, W) uint8, on the device.</param>
    /// <param name="targets">What the loss is measured against, as many.</param>
    /// <param name="moment">Of training.</param>
    protected abstract (ModelLosses Losses, IReadOnlyList<Quantized> Levels) Pass(Tensor pixels, Tensor targets, TrainingMoment moment);

    protected abstract void Write(string path, AdamOptimizer? optimizer);

    /// <summary>A step is about to begin: what the passes change besides codes is to be remembered.</summary>
    protected virtual void Remember() { }

    /// <summary>The step was skipped: back to what was remembered.</summary>
    protected virtual void Undo() { }

    /// <summary>A step on pixels (B, C, H, W) uint8 and targets of the same length, in CPU memory.</summary>
    protected StepReport Step(Tensor pixels, Tensor targets)
    {
        if (!CodebooksReady)
            throw new InvalidOperationException("initialize the codebooks before the first step");
        using var scope = NewDisposeScope();
        if (!model.training)
            model.train();
        Optimizer.ClearGradients();
        sums.Clear();
        Remember();
        var parts = pixels.chunk(Training.Accumulate).Zip(targets.chunk(Training.Accumulate));
        foreach (var (micro, (part, target)) in parts.Index())
            Backward(
                part.to(Device),
                target.to(Device),
                (double)part.shape[0] / pixels.shape[0],
                new(Seed, StepsDone, Training.Steps, micro)
            );
        var rate = LearningRate.At(Training, StepsDone) * RateFactor;
        var norm = Optimizer.GradientNorm();
        var skipped = !double.IsFinite(norm) || !double.IsFinite(sums.Loss) || Explodes();
        var revived = skipped ? Skip() : Learn(rate, norm);
        StepsDone++;
        ImagesSeen += pixels.shape[0];
        var usual = usualLoss;
        if (!skipped)
            usualLoss = usual is { } mean ? UsualLossMemory * mean + (1 - UsualLossMemory) * sums.Size : sums.Size;
        return new(
            StepsDone,
            sums.Loss,
            sums.Reconstruction,
            sums.Latent,
            rate,
            norm,
            skipped,
            sums.Levels(revived),
            usual,
            sums.CrossEntropy,
            sums.Size
        );
    }

    /// <summary>Takes weights, moments and counters from a checkpoint with which training can go on.</summary>
    /// <exception cref="Formats.WeightsException">It can't; the message names the file and why.</exception>
    protected void Restore(CheckpointFile file)
    {
        file.Fill(model);
        if (!file.HasOptimizer)
            throw new Formats.WeightsException($"{file.Path}: holds no optimizer state: training can't go on from it");
        file.Fill(Optimizer);
        StepsDone = file.Progress.StepsDone;
        ImagesSeen = file.Progress.ImagesSeen;
        CodebooksReady = file.Progress.CodebooksReady;
        RateFactor = file.Progress.RateFactor;
        usualLoss = file.Progress.UsualLoss;
    }

    private bool Explodes() => Training.ExplosionFactor > 0 && usualLoss is { } usual && sums.Size > Training.ExplosionFactor * usual;

    private void Backward(Tensor pixels, Tensor targets, double share, TrainingMoment moment)
    {
        using var scope = NewDisposeScope();
        var (losses, levels) = Pass(pixels, targets, moment);
        (share < 1 ? losses.Total * Kept(share) : losses.Total).backward();
        sums.Add(share, losses, levels);
    }

    private long[][] Learn(double rate, double norm)
    {
        var scale = Training.ClipNorm > 0 ? Math.Min(1, Training.ClipNorm / (norm + 1e-6)) : 1;
        Optimizer.Update(rate, Training.WeightDecay, scale);
        return codesLearn
            ? [.. Quantizers.Select((quantizer, level) => quantizer.Learn(SplitMix64.Derive(Seed, level), StepsDone))]
            : Forget();
    }

    private long[][] Skip()
    {
        Undo();
        return Forget();
    }

    private long[][] Forget()
    {
        foreach (var quantizer in Quantizers)
            quantizer.Forget();
        return [.. Quantizers.Select(quantizer => new long[quantizer.Codebooks])];
    }
}
