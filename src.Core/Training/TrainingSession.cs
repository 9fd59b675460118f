using DQ.Core.Autoencoders;
using DQ.Core.Images;
using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>The training of an autoencoder.</summary>
public sealed class TrainingSession : ModelSession
{
    /// <summary>
    /// Multiply-adds of a training step over those of its images' forward pass: the pass itself, the gradients of the maps and those of
    /// the weights. Frozen parts, which take less, are counted in full.
    /// </summary>
    public const int MultiplyAddsFactor = 3;

    /// <param name="model">What to train.</param>
    /// <param name="training">How.</param>
    /// <param name="seed">Of the first weights and of every later random choice.</param>
    /// <param name="device">Where.</param>
    public TrainingSession(AutoencoderSpec model, TrainingSpec training, long seed, Device device)
        : this(Seeded(seed, () => Frozen(new HierarchicalAutoencoder(model), training)), training, seed, device) { }

    private TrainingSession(HierarchicalAutoencoder model, TrainingSpec training, long seed, Device device)
        : base(model, model.Quantizers, training, seed, device) => Model = model;

    public HierarchicalAutoencoder Model { get; }

    /// <summary>One optimizer step on (B, C, H, W) uint8 pixels, cut in micro-batches when the spec says so.</summary>
    /// <exception cref="InvalidOperationException">The codebooks are not initialized.</exception>
    public StepReport Step(Tensor pixels) => Step(pixels, pixels);

    public override StepReport Step(Batch batch) => Step(batch.Pixels);

    /// <summary>A step whose reconstruction loss is measured against <paramref name="targets"/>: the released code's are its own
    /// pixels, some one level too low; only parity has a use for them.</summary>
    internal new StepReport Step(Tensor pixels, Tensor targets) => base.Step(pixels, targets);

    /// <summary>The session a checkpoint was written by.</summary>
    /// <exception cref="Formats.WeightsException">The file can't be used; the message names it and why.</exception>
    public static TrainingSession Load(string path, TrainingSpec training, Device device)
    {
        using var file = Checkpoint.Open(path);
        var session = new TrainingSession(file.Spec, training, file.Progress.Seed, device);
        session.Restore(file);
        return session;
    }

    /// <summary>A session that begins with a checkpoint's weights and codebooks, with a fresh optimizer and no steps done.</summary>
    /// <param name="path">Of a model of the same shapes; images may be of another size.</param>
    /// <param name="model">What to train.</param>
    /// <param name="training">How.</param>
    /// <param name="seed">Of every random choice.</param>
    /// <param name="device">Where.</param>
    /// <exception cref="Formats.WeightsException">The file can't be used; the message names it and why.</exception>
    public static TrainingSession StartingFrom(string path, AutoencoderSpec model, TrainingSpec training, long seed, Device device)
    {
        using var file = Checkpoint.Open(path);
        var session = new TrainingSession(model, training, seed, device);
        file.Fill(session.Model);
        session.CodebooksReady = file.Progress.CodebooksReady;
        return session;
    }

    protected override void FirstCodes(IReadOnlyList<Tensor> batches) => Model.InitializeCodebooks(batches, Seed);

    protected override (ModelLosses Losses, IReadOnlyList<Quantized> Levels) Pass(Tensor pixels, Tensor targets, TrainingMoment moment)
    {
        var pass = Model.Run(pixels, moment);
        return (ModelLosses.Of(Model, pass, targets), pass.Levels);
    }

    protected override void Write(string path, AdamOptimizer? optimizer) => Checkpoint.Write(path, Model, optimizer, Progress);

    private static HierarchicalAutoencoder Frozen(HierarchicalAutoencoder model, TrainingSpec training)
    {
        foreach (var parameter in training.Freeze.SelectMany(part => model.Part(part).parameters()))
            parameter.requires_grad = false;
        return model;
    }
}
