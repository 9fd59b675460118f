using DQ.Core.Autoencoders;
using DQ.Core.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>A model, its optimizer and where they are: everything a training run keeps between two steps.</summary>
/// <remarks>
/// Random choices are functions of (seed, step), so the state is weights, codebooks, moments and counters, and a session
/// loaded from a checkpoint goes on exactly as the one that wrote it.
/// </remarks>
public sealed class TrainingSession : IDisposable
{
    /// <summary>
    /// Multiply-adds of a training step over those of its images' forward pass: the pass itself, the gradients of the maps and those of
    /// the weights. Frozen parts, which take less, are counted in full.
    /// </summary>
    public const int MultiplyAddsFactor = 3;

    /// <summary>Weight of the past in the moving mean of the loss.</summary>
    private const double UsualLossMemory = 0.9;

    private readonly TrainingSpec training;
    private readonly AdamOptimizer optimizer;
    private readonly Device device;
    private readonly StepSums sums; // kept from step to step for its arrays
    private double? usualLoss;

    /// <param name="model">What to train.</param>
    /// <param name="training">How.</param>
    /// <param name="seed">Of the first weights and of every later random choice.</param>
    /// <param name="device">Where.</param>
    public TrainingSession(AutoencoderSpec model, TrainingSpec training, long seed, Device device)
    {
        this.training = training;
        this.device = device;
        Seed = seed;
        manual_seed(seed);
        Model = new HierarchicalAutoencoder(model);
        sums = new StepSums(model);
        Model.to(device);
        CodebooksReady = !Model.Quantizers.Any(quantizer => quantizer.NeedsInitialization);
        foreach (var parameter in training.Freeze.SelectMany(part => Model.Part(part).parameters()))
            parameter.requires_grad = false;
        optimizer = new AdamOptimizer(Model.named_parameters().Where(entry => entry.parameter.requires_grad));
    }

    public HierarchicalAutoencoder Model { get; }

    /// <summary>For measurements of a step's parts.</summary>
    internal AdamOptimizer Optimizer => optimizer;

    public long Seed { get; }

    /// <summary>Optimizer steps done, skipped ones among them.</summary>
    public long StepsDone { get; private set; }

    /// <summary>Training images seen, with repetition.</summary>
    public long ImagesSeen { get; private set; }

    /// <summary>False until <see cref="InitializeCodebooks"/> on a session with codebooks that start from k-means.</summary>
    public bool CodebooksReady { get; private set; }

    /// <summary>Factor on the learning rate, lowered after a numerical failure.</summary>
    public double RateFactor { get; set; } = 1;

    /// <summary>The counters, as a checkpoint holds them.</summary>
    public TrainingProgress Progress =>
        new(Seed, StepsDone, ImagesSeen, CodebooksReady, RateFactor, optimizer.Updates, usualLoss, device.ToString(), get_num_threads());

    /// <summary>Fits the first codes to the first batches, (B, C, H, W) uint8 each.</summary>
    public void InitializeCodebooks(IReadOnlyList<Tensor> batches)
    {
        using var scope = NewDisposeScope();
        Model.InitializeCodebooks([.. batches.Select(batch => batch.to(device))], Seed);
        CodebooksReady = true;
    }

    /// <summary>One optimizer step on (B, C, H, W) uint8 pixels, cut in micro-batches when the spec says so.</summary>
    /// <exception cref="InvalidOperationException">The codebooks are not initialized.</exception>
    public StepReport Step(Tensor pixels) => Step(pixels, pixels);

    /// <summary>A step whose reconstruction loss is measured against <paramref name="targets"/>: the released code's are its own
    /// pixels, some one level too low; only parity has a use for them.</summary>
    internal StepReport Step(Tensor pixels, Tensor targets)
    {
        if (!CodebooksReady)
            throw new InvalidOperationException("initialize the codebooks before the first step");
        using var scope = NewDisposeScope();
        if (!Model.training)
            Model.train();
        optimizer.ClearGradients();
        sums.Clear();
        var parts = pixels.chunk(training.Accumulate).Zip(targets.chunk(training.Accumulate));
        foreach (var (micro, (part, target)) in parts.Index())
            Backward(
                part.to(device),
                target.to(device),
                (double)part.shape[0] / pixels.shape[0],
                new(Seed, StepsDone, training.Steps, micro)
            );
        var rate = LearningRate.At(training, StepsDone) * RateFactor;
        var norm = optimizer.GradientNorm();
        var skipped = !double.IsFinite(norm) || !double.IsFinite(sums.Loss) || Explodes(sums);
        var revived = skipped ? Forget() : Learn(rate, norm);
        StepsDone++;
        ImagesSeen += pixels.shape[0];
        var usual = usualLoss;
        if (!skipped)
            usualLoss = usual is { } mean ? UsualLossMemory * mean + (1 - UsualLossMemory) * Size(sums) : Size(sums);
        return new(StepsDone, sums.Loss, sums.Reconstruction, sums.Latent, rate, norm, skipped, sums.Levels(revived), usual);
    }

    private bool Explodes(StepSums sums) =>
        training.ExplosionFactor > 0 && usualLoss is { } usual && Size(sums) > training.ExplosionFactor * usual;

    // what quantizers add for their codes may lie below zero, these don't
    private static double Size(StepSums sums) => sums.Reconstruction + sums.Latent;

    /// <summary>Writes everything needed to go on exactly; the file appears whole or not at all.</summary>
    /// <exception cref="IOException">It can't be written; what was there before is intact.</exception>
    public void Save(string path) => Checkpoint.Write(path, Model, optimizer, Progress);

    /// <summary>The session a checkpoint was written by.</summary>
    /// <exception cref="Weights.WeightsException">The file can't be used; the message names it and why.</exception>
    public static TrainingSession Load(string path, TrainingSpec training, Device device)
    {
        using var file = Checkpoint.Open(path);
        var session = new TrainingSession(file.Spec, training, file.Progress.Seed, device);
        file.Fill(session.Model);
        if (!file.HasOptimizer)
            throw new Weights.WeightsException($"{path}: holds no optimizer state: training can't go on from it");
        file.Fill(session.optimizer);
        session.StepsDone = file.Progress.StepsDone;
        session.ImagesSeen = file.Progress.ImagesSeen;
        session.CodebooksReady = file.Progress.CodebooksReady;
        session.RateFactor = file.Progress.RateFactor;
        session.usualLoss = file.Progress.UsualLoss;
        return session;
    }

    /// <summary>A session that begins with a checkpoint's weights and codebooks, with a fresh optimizer and no steps done.</summary>
    /// <param name="path">Of a model of the same shapes; images may be of another size.</param>
    /// <param name="model">What to train.</param>
    /// <param name="training">How.</param>
    /// <param name="seed">Of every random choice.</param>
    /// <param name="device">Where.</param>
    /// <exception cref="Weights.WeightsException">The file can't be used; the message names it and why.</exception>
    public static TrainingSession StartingFrom(string path, AutoencoderSpec model, TrainingSpec training, long seed, Device device)
    {
        using var file = Checkpoint.Open(path);
        var session = new TrainingSession(model, training, seed, device);
        file.Fill(session.Model);
        session.CodebooksReady = file.Progress.CodebooksReady;
        return session;
    }

    public void Dispose()
    {
        optimizer.Dispose();
        Model.Dispose();
    }

    private void Backward(Tensor pixels, Tensor targets, double share, TrainingMoment moment)
    {
        using var scope = NewDisposeScope();
        var pass = Model.Run(pixels, moment);
        var losses = ModelLosses.Of(Model, pass, targets);
        (share < 1 ? losses.Total * share : losses.Total).backward();
        sums.Add(share, losses, pass.Levels);
    }

    private long[][] Learn(double rate, double norm)
    {
        var scale = training.ClipNorm > 0 ? Math.Min(1, training.ClipNorm / (norm + 1e-6)) : 1;
        optimizer.Update(rate, training.WeightDecay, scale);
        if (training.Freeze.Contains("codebooks"))
            return Forget();
        return [.. Model.Quantizers.Select((quantizer, level) => quantizer.Learn(SplitMix64.Derive(Seed, level), StepsDone))];
    }

    private long[][] Forget()
    {
        foreach (var quantizer in Model.Quantizers)
            quantizer.Forget();
        return [.. Model.Quantizers.Select(quantizer => new long[quantizer.Codebooks])];
    }
}
