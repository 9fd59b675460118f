using System.Runtime.InteropServices;
using DQ.Core.Formats;
using DQ.Core.Images;
using DQ.Core.Native;
using DQ.Core.Parallel;
using DQ.Core.Quantization;
using TorchSharp;
using TorchSharp.Modules;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>An objective, its optimizer and their position: everything that a training run keeps between two steps.</summary>
/// <remarks>
/// Random choices are functions of (seed, step), so the state is weights, codebooks, moments and counters, and a session restored from a
/// checkpoint continues exactly like the one that wrote it.
/// </remarks>
public sealed class TrainingSession : IDisposable
{
    /// <summary>
    /// Ratio of the multiply-adds of a training step to those of its images' forward pass: the pass itself, the gradients of the maps and
    /// those of the weights. Frozen parts, which take less, are counted in the same way.
    /// </summary>
    public const int MultiplyAddsFactor = 3;

    /// <summary>Weight of the past in the moving mean of the loss.</summary>
    private const double UsualLossMemory = 0.9;

    /// In these, libraries choose their algorithms and take their memory
    private const int PassesBeforeRecording = 3;

    private readonly TrainingSpec training;
    private readonly Device device;
    private readonly StepSums sums; // reused in every step for its arrays
    private readonly WeightAverage? average; // null if there is no average
    private readonly IRanks ranks;
    private double? usualLoss;
    private Tensor? exchanged; // room for what is summed over ranks at once
    private RecordedPass? recorded;
    private long[] seen = [];
    private int passes; // of that shape, one after the other

    /// <param name="objective">The objective, which is disposed with this session.</param>
    /// <param name="training">Settings of the training.</param>
    /// <param name="seed">Seed of all random choices.</param>
    /// <param name="device">Device to which the model is moved.</param>
    /// <param name="ranks">The processes that train it together; null for this one alone.</param>
    public TrainingSession(IObjective objective, TrainingSpec training, long seed, Device device, IRanks? ranks = null)
    {
        (Objective, this.training, Seed, this.device) = (objective, training, seed, device);
        this.ranks = ranks ?? OneProcess.Instance;
        if (this.ranks.Count > 1 && objective.Network.modules().OfType<BatchNorm2d>().Any())
            throw new ArgumentException(
                "expected a network without batch normalization, whose means are those of one rank's images",
                nameof(objective)
            );
        sums = new StepSums(objective.Quantizers);
        objective.Network.to(device);
        CodebooksReady = objective.CodesAreChosen;
        Optimizer = new AdamOptimizer(
            objective.Network.named_parameters().Where(entry => entry.parameter.requires_grad),
            training.SecondMoment
        );
        if (training.WeightAverage > 0)
            average = new WeightAverage(objective.Network, training.WeightAverage);
    }

    public IObjective Objective { get; }

    public long Seed { get; private set; }

    /// <summary>Optimizer steps done, with skipped ones.</summary>
    public long StepsDone { get; private set; }

    /// <summary>Training images seen, with repetition.</summary>
    public long ImagesSeen { get; private set; }

    /// <summary>True if no first codes have to be chosen, or after <see cref="InitializeCodebooks"/> has chosen them by k-means.</summary>
    public bool CodebooksReady { get; private set; }

    /// <summary>Factor on the learning rate, lowered after a numerical failure.</summary>
    public double RateFactor { get; set; } = 1;

    /// <summary>The counters, in the form of a checkpoint.</summary>
    public TrainingProgress Progress =>
        new(
            Seed,
            StepsDone,
            ImagesSeen,
            CodebooksReady,
            RateFactor,
            Optimizer.Updates,
            usualLoss,
            device.ToString(),
            get_num_threads(),
            ranks.Count > 1 ? ranks.Count : null
        );

    /// <summary>Whether passes are launched as a CUDA graph.</summary>
    internal bool Records => recorded is not null;

    /// <summary>For measurements of a step's parts.</summary>
    internal AdamOptimizer Optimizer { get; }

    /// <summary>Called after the model has received other first weights.</summary>
    public void Begin()
    {
        CodebooksReady = Objective.CodesAreChosen;
        average?.Begin();
    }

    /// <summary>The places, in a step's whole batch, of the images that this rank takes of it; null for all.</summary>
    public int[]? Places => Sharing(training.BatchSize)?.Places(training.Accumulate);

    /// <summary>Fits the first codes to the first batches, (B, C, H, W) uint8 each; of several ranks, each gives its share of them.</summary>
    public void InitializeCodebooks(IReadOnlyList<Tensor> batches)
    {
        using var scope = NewDisposeScope();
        Objective.ChooseFirstCodes([.. batches.Select(batch => batch.to(device))], Seed, Sharing(training.BatchSize));
        CodebooksReady = true;
        average?.Begin();
    }

    /// <summary>Runs an action with the weights for evaluation: the moving average, if there is one.</summary>
    public TResult Judged<TResult>(Func<TResult> work)
    {
        if (average is null)
            return work();
        average.Swap();
        try
        {
            return work();
        }
        finally
        {
            average.Swap();
        }
    }

    /// <summary>Makes one optimizer step, in as many micro-batches as the spec sets.</summary>
    /// <exception cref="InvalidOperationException">The codebooks are not initialized.</exception>
    /// <exception cref="ArgumentException">The batch lacks the targets of the objective.</exception>
    public StepReport Step(Batch batch) => Step(batch.Pixels, Objective.Targets(batch), batch.Images);

    /// <summary>A step on images without labels, (B, C, H, W) uint8.</summary>
    /// <exception cref="InvalidOperationException">The codebooks are not initialized.</exception>
    /// <exception cref="ArgumentException">The objective needs labels.</exception>
    public StepReport Step(Tensor pixels) => Step(new Batch(pixels, null));

    /// <summary>A step with <paramref name="targets"/> for its loss. The targets of the released code are its own pixels, some of them one
    /// level too low. Besides <see cref="Step(Batch)"/> only the parity check uses this.</summary>
    /// <param name="pixels">(B, C, H, W) uint8, this rank's.</param>
    /// <param name="targets">Of them.</param>
    /// <param name="images">Of all ranks; null for those of this one.</param>
    internal StepReport Step(Tensor pixels, Tensor targets, int? images = null)
    {
        var all = images ?? (int)pixels.shape[0];
        var sharing = Sharing(all);
        if (sharing is not null && pixels.shape[0] != sharing.Images.Count * training.Accumulate)
            throw new ArgumentException(
                $"expected {sharing.Images.Count * training.Accumulate} of {all} images, got {pixels.shape[0]}",
                nameof(pixels)
            );
        if (!CodebooksReady)
            throw new InvalidOperationException("initialize the codebooks before the first step");
        using var stream = CudaStream.Enter(device);
        using var scope = NewDisposeScope();
        using var formats = NumberFormats.BeginStep(training.Precision, device);
        if (!Objective.Network.training)
            Objective.Network.train();
        sums.Clear();
        Objective.Remember();
        var norm =
            sharing is null && Recorded(pixels, targets) is { } pass
                ? pass.Run(pixels, Moment, sums)
                : Passes(pixels, targets, all, sharing);
        var rate = LearningRate.At(training, StepsDone) * RateFactor;
        var skipped = !double.IsFinite(norm) || !double.IsFinite(sums.Loss) || Explodes();
        var revived = skipped ? Skip() : Learn(rate, norm);
        StepsDone++;
        ImagesSeen += all;
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

    /// <summary>Writes everything that is needed to continue exactly. The file is written completely or not at all.</summary>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    public void Save(string path) => Objective.Write(path, Optimizer, Progress, average);

    /// <summary>Writes the model alone, for evaluation.</summary>
    /// <exception cref="IOException">As above.</exception>
    public void SaveModel(string path) => Objective.Write(path, null, Progress, average);

    /// <summary>Restores weights, moments and counters from a checkpoint from which training can continue.</summary>
    /// <exception cref="WeightsException">The checkpoint can't be used; the message names the file and the reason.</exception>
    public void Restore(string path)
    {
        using var file = new CheckpointFile(path);
        if (file.Kind != Objective.Kind)
            throw new WeightsException($"{path}: expected a checkpoint of kind {Objective.Kind}, found {file.Kind}");
        if (!file.HasOptimizer)
            throw new WeightsException($"{path}: holds no optimizer state: training can't go on from it");
        file.FillTrained(Objective.Network);
        file.Fill(Optimizer);
        if (average is not null && !file.Fill(average))
            average.Begin(); // the training that wrote the file had none
        var progress = file.Progress;
        (Seed, StepsDone, ImagesSeen) = (progress.Seed, progress.StepsDone, progress.ImagesSeen);
        (CodebooksReady, RateFactor, usualLoss) = (progress.CodebooksReady, progress.RateFactor, progress.UsualLoss);
    }

    /// <summary>Gives all ranks what rank 0 has: weights, codebooks, moments, averages and counters.</summary>
    public void Align()
    {
        if (ranks.Count == 1)
            return;
        foreach (var tensor in Objective.Network.state_dict().Values)
            ranks.Broadcast(tensor);
        foreach (var (_, moment) in Optimizer.State)
            ranks.Broadcast(moment);
        foreach (var (_, mean) in average?.State ?? [])
            ranks.Broadcast(mean);
        double[] counters = [RateFactor, usualLoss ?? double.NaN];
        long[] whole = [Seed, StepsDone, ImagesSeen, CodebooksReady ? 1 : 0, Optimizer.Updates];
        ranks.Broadcast(MemoryMarshal.AsBytes(counters.AsSpan()));
        ranks.Broadcast(MemoryMarshal.AsBytes(whole.AsSpan()));
        (RateFactor, usualLoss) = (counters[0], double.IsNaN(counters[1]) ? null : counters[1]);
        (Seed, StepsDone, ImagesSeen, CodebooksReady, Optimizer.Updates) = (whole[0], whole[1], whole[2], whole[3] == 1, whole[4]);
    }

    public void Dispose()
    {
        exchanged?.Dispose();
        recorded?.Dispose();
        average?.Dispose();
        Optimizer.Dispose();
        Objective.Dispose();
    }

    private Sharing? Sharing(int images) => Parallel.Sharing.OfStep(ranks, images, training.Accumulate);

    /// Sums gradients, what codes learn from, losses and choices over all ranks: from here on they compute the same.
    private void Exchange()
    {
        Tensor[] values =
        [
            .. Optimizer.PresentGradients,
            .. training.Freeze.Contains("codebooks") ? [] : Objective.Quantizers.SelectMany(quantizer => quantizer.Collected),
        ];
        var count = values.Sum(value => value.numel());
        if (exchanged is null || exchanged.numel() != count)
        {
            exchanged?.Dispose();
            exchanged = empty(count, device: device).DetachFromDisposeScope();
        }
        ranks.Sum(values, exchanged);
        sums.Add(ranks);
    }

    /// Forward and backward passes of a step, with their sums over all ranks; returns the gradients' norm
    private double Passes(Tensor pixels, Tensor targets, int all, Sharing? sharing)
    {
        Optimizer.ClearGradients();
        var parts = pixels.chunk(training.Accumulate).Zip(targets.chunk(training.Accumulate));
        foreach (var (micro, (part, target)) in parts.Index())
        {
            using var perPart = NewDisposeScope();
            var share = (double)part.shape[0] / all;
            var moment = new TrainingMoment(Seed, StepsDone, training.Steps, micro, sharing);
            var positions = Objective.Positions(part, moment)?.to(device);
            var (losses, levels) = Pass(part.to(device), target.to(device), moment, positions);
            (share < 1 ? losses.Total * Kept(share) : losses.Total).backward();
            sums.Add(share, losses, levels);
        }
        if (sharing is not null)
            Exchange();
        return Optimizer.GradientNorm();
    }

    private (ModelLosses Losses, IReadOnlyList<Quantized> Levels) Pass(
        Tensor pixels,
        Tensor targets,
        TrainingMoment moment,
        Tensor? positions
    )
    {
        using var formats = NumberFormats.BeginPass(training.Precision, device);
        return Objective.Pass(pixels, targets, moment, positions);
    }

    /// The pass as a CUDA graph, after a few passes of this shape
    private RecordedPass? Recorded(Tensor pixels, Tensor targets)
    {
        if (!ReferenceEquals(pixels, targets) || !RecordedPass.CanRecord(Objective, training, device))
            return null;
        if (recorded is { } known)
            return known.Takes(pixels) ? known : null;
        if (!pixels.shape.SequenceEqual(seen))
            (seen, passes) = (pixels.shape, 0);
        return passes++ < PassesBeforeRecording
            ? null
            : recorded = RecordedPass.Of(Objective, Optimizer, training, Moment, pixels.to(device));
    }

    private TrainingMoment Moment => new(Seed, StepsDone, training.Steps, 0);

    private bool Explodes() => training.ExplosionFactor > 0 && usualLoss is { } usual && sums.Size > training.ExplosionFactor * usual;

    private long[][] Learn(double rate, double norm)
    {
        var scale = training.ClipNorm > 0 ? Math.Min(1, training.ClipNorm / (norm + 1e-6)) : 1;
        Optimizer.Update(rate, training.WeightDecay, scale);
        long[][] revived = training.Freeze.Contains("codebooks")
            ? Forget()
            : [.. Objective.Quantizers.Select((quantizer, level) => quantizer.Learn(SplitMix64.Derive(Seed, level), StepsDone))];
        average?.Update(Optimizer.Updates);
        return revived;
    }

    private long[][] Skip()
    {
        Objective.Undo();
        return Forget();
    }

    private long[][] Forget()
    {
        foreach (var quantizer in Objective.Quantizers)
            quantizer.Forget();
        return [.. Objective.Quantizers.Select(quantizer => new long[quantizer.Codebooks])];
    }
}
