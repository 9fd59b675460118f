using DQ.Core.Artifacts;
using DQ.Core.Autoencoders;
using DQ.Core.Evaluation;
using DQ.Core.Images;
using DQ.Core.Native;
using DQ.Core.Quantization;
using DQ.Core.Training;
using static TorchSharp.torch;

namespace DQ.Core.Measurement;

/// <summary>Times the parts of training and evaluation on real batches.</summary>
/// <remarks>
/// A step is timed as a whole, and by stage. Then its main operations are timed alone, on the shapes that they have in a step: every
/// convolution, every level's quantization, the likelihood, the optimizer. These operations are parts of the stages. Memory per part is
/// measured by the resident size. Parts run in this order, in one process that has run a step before.
/// </remarks>
public sealed class Benchmark
{
    private static readonly string[] Stages = ["forward", "loss", "backward", "optimizer", "codebooks"];

    private readonly TrainingSession session;
    private readonly HierarchicalAutoencoder model;
    private readonly TrainingSpec training;
    private readonly IReadOnlyList<Tensor> batches;
    private readonly Device device;
    private readonly int repetitions;
    private readonly List<BenchmarkPart> parts = [];
    private int turn;

    /// <param name="session">A session with initialized codebooks; its training continues.</param>
    /// <param name="model">The model of the session.</param>
    /// <param name="training">The session's training settings.</param>
    /// <param name="batches">(B, C, H, W) uint8 CPU batches of one shape, used in turn.</param>
    /// <param name="device">Device of the session.</param>
    /// <param name="repetitions">Number of timed runs of each part.</param>
    public Benchmark(
        TrainingSession session,
        HierarchicalAutoencoder model,
        TrainingSpec training,
        IReadOnlyList<Tensor> batches,
        Device device,
        int repetitions
    )
    {
        (this.session, this.model, this.training, this.batches, this.device) = (session, model, training, batches, device);
        this.repetitions = repetitions;
    }

    /// <summary>Peak resident memory of the whole steps; null if the system does not report it.</summary>
    public long? PeakResidentBytes { get; private set; }

    /// <summary>Managed memory allocated per whole step, by all threads.</summary>
    public long ManagedBytesPerStep { get; private set; }

    /// <summary>Multiply-adds of all convolutions for one image, forward.</summary>
    public long MultiplyAddsPerImage { get; private set; }

    private long BatchSize => batches[0].shape[0];

    /// <summary>Times all parts, one after the other.</summary>
    /// <param name="progress">Receives each part's name when it begins.</param>
    public IReadOnlyList<BenchmarkPart> Run(Action<string> progress)
    {
        parts.Clear();
        var pixels = batches[0].to(device);
        var convolutions = ConvolutionTrace.Of(model, pixels);
        MultiplyAddsPerImage = convolutions.Sum(convolution => convolution.MultiplyAdds) / BatchSize;
        Announce("step", WholeStep);
        Announce("step by stage", StepByStage);
        Announce("convolutions", () => Convolutions(convolutions));
        Announce("quantizers", () => QuantizerLevels(pixels));
        Announce("likelihood", () => LikelihoodAlone(pixels));
        Announce("evaluation", () => Evaluation(pixels));
        return parts;

        void Announce(string name, Action part)
        {
            progress(name);
            using var scope = NewDisposeScope();
            part();
        }
    }

    /// <summary>Adds the input pipeline: batches are drawn, gathered and augmented, and nothing else runs.</summary>
    public BenchmarkPart Input(ImageBatches source) =>
        Part("input", Timing.Measure(device, Math.Max(64, repetitions), () => source.Next().Dispose()));

    private Tensor Next() => batches[turn++ % batches.Count];

    private void WholeStep()
    {
        for (var warm = 0; warm < 3; warm++)
            session.Step(Next());
        PeakMemory.Reset();
        var clock = new StageClock(device);
        var allocated = GC.GetTotalAllocatedBytes(precise: true);
        for (var step = 0; step < repetitions; step++)
            clock.Time(0, () => session.Step(Next()));
        ManagedBytesPerStep = (GC.GetTotalAllocatedBytes(precise: true) - allocated) / repetitions;
        PeakResidentBytes = PeakMemory.Bytes();
        var timing = clock.Timings[0];
        var flops = 3 * 2.0 * MultiplyAddsPerImage * BatchSize; // the backward pass has two products for each product of the forward pass
        Add(Part("step", timing) with { FlopsPerSecond = flops / timing.MedianSeconds });
    }

    /// The work of TrainingSession.Step, stage by stage
    private void StepByStage()
    {
        using var formats = NumberFormats.BeginStep(training.Precision, device);
        var clock = new StageClock(device);
        for (var step = 0; step < repetitions + 1; step++)
        {
            using var scope = NewDisposeScope();
            var timed = step == 0 ? new StageClock(device) : clock;
            model.train();
            session.Optimizer.ClearGradients();
            var pixels = Next().to(device);
            ForwardPass pass = null!;
            ModelLosses losses = null!;
            timed.Time(0, () => pass = Formatted(() => model.Run(pixels, new(session.Seed, session.StepsDone, training.Steps, 0))));
            timed.Time(1, () => losses = ModelLosses.Of(model, pass, pixels));
            timed.Time(2, () => losses.Total.backward());
            timed.Time(3, UpdateWeights);
            timed.Time(4, LearnCodes);
        }
        foreach (var (stage, timing) in clock.Timings.Index())
            Add(Part($"step/{Stages[stage]}", timing));
    }

    private void UpdateWeights()
    {
        var norm = session.Optimizer.GradientNorm();
        session.Optimizer.Update(1e-6, training.WeightDecay, Math.Min(1, 1 / norm));
    }

    private void LearnCodes()
    {
        foreach (var quantizer in model.Quantizers)
            quantizer.Learn(session.Seed, session.StepsDone);
    }

    /// A repeated convolution has its maps in the caches. So the convolutions of a step take longer than the sum of these times
    private void Convolutions(IReadOnlyList<TracedConvolution> convolutions)
    {
        using var formats = NumberFormats.BeginStep(training.Precision, device);
        var (forward, backward) = (new List<double>(), new List<double>());
        foreach (var convolution in convolutions)
        {
            using var scope = NewDisposeScope();
            var input = randn(convolution.Input, device: device).ForConvolutions().detach().requires_grad_(true);
            Tensor[] leaves = [input, .. convolution.Layer.parameters()];
            var output = Formatted(() => convolution.Layer.forward(input));
            var slope = randn_like(output);
            forward.Add(Median(() => Formatted(() => convolution.Layer.forward(input))));
            backward.Add(Median(() => autograd.grad([output], leaves, [slope], retain_graph: true)));
        }
        var flops = 2.0 * MultiplyAddsPerImage * BatchSize;
        AddSum("convolutions/forward", forward, flops);
        AddSum("convolutions/backward", backward, 2 * flops);

        double Median(Action work) => Timing.Measure(device, Math.Max(3, repetitions / 4), Scoped(work)).MedianSeconds;

        void AddSum(string name, List<double> medians, double work) =>
            Add(Part(name, new(medians.Sum(), 0, Math.Max(3, repetitions / 4))) with { FlopsPerSecond = work / medians.Sum() });
    }

    private void QuantizerLevels(Tensor pixels)
    {
        model.train();
        foreach (var (level, grid) in model.Spec.Grids((int)pixels.shape[2], (int)pixels.shape[3]).Index())
        {
            var quantizer = model.Quantizers[level];
            var map = randn([BatchSize, quantizer.InputChannels, grid.Height, grid.Width], device: device).requires_grad_(true);
            var moment = new TrainingMoment(session.Seed, session.StepsDone, training.Steps, 0);
            var timing = Timing.Measure(
                device,
                repetitions,
                Scoped(() =>
                {
                    quantizer.Quantize(map, moment);
                    quantizer.Learn(session.Seed, session.StepsDone);
                })
            );
            Add(Part($"quantizer/{level}", timing));
        }
    }

    private void LikelihoodAlone(Tensor pixels)
    {
        using var stream = CudaStream.Enter(device); // what is recorded must not depend on another stream
        Tensor output;
        using (no_grad())
        {
            model.eval();
            output = model.Run(pixels).Output.detach().requires_grad_(true);
        }
        var likelihood = model.Likelihood;
        Action both = Scoped(() => autograd.grad([likelihood.Loss(output, pixels).mean()], [output]));
        both();
        PeakMemory.Reset();
        var resident = PeakMemory.ResidentBytes();
        var timing = Alone(both);
        Add(
            Part("likelihood", timing) with
            {
                // reads the output and the pixels, and writes the output's gradient
                BytesPerSecond = (2 * sizeof(float) * output.numel() + pixels.numel()) / timing.MedianSeconds,
                PeakGrowthBytes = PeakMemory.Bytes() - resident,
            }
        );
    }

    /// On a GPU the work alone, without its launches: ten times as a CUDA graph, on the present stream
    private Timing Alone(Action work)
    {
        const int Times = 10;
        if (device.type != TorchSharp.DeviceType.CUDA || !CudaGraph.IsAvailable)
            return Timing.Measure(device, repetitions, work);
        using var graph = new CudaGraph();
        work(); // what is allocated and compiled at first
        cuda.synchronize(device);
        graph.Capture(work);
        var timing = Timing.Measure(
            device,
            repetitions,
            () =>
            {
                for (var time = 0; time < Times; time++)
                    graph.Launch();
            }
        );
        return timing with { MedianSeconds = timing.MedianSeconds / Times, SpreadSeconds = timing.SpreadSeconds / Times };
    }

    /// In the number format of the training
    private TResult Formatted<TResult>(Func<TResult> pass)
    {
        using var formats = NumberFormats.BeginPass(training.Precision, device);
        return pass();
    }

    private void Evaluation(Tensor pixels)
    {
        var evaluator = new SplitEvaluator(model, CodeFrequencies.Count(model, [pixels.clone()]));
        Add(Part("evaluation", Timing.Measure(device, repetitions, Scoped(() => evaluator.Add(pixels)))));
        Add(Part("encode", Timing.Measure(device, repetitions, Scoped(() => model.Encode(pixels)))));
        var codes = model.Encode(pixels);
        var (height, width) = (pixels.shape[2], pixels.shape[3]);
        Add(Part("decode", Timing.Measure(device, repetitions, Scoped(() => model.Likelihood.Mean(model.Decode(codes, height, width))))));
    }

    private void Add(BenchmarkPart part) => parts.Add(part with { ShareOfStep = IsPartOfStep(part.Name) ? Share(part) : null });

    private double Share(BenchmarkPart part) =>
        part.MedianSeconds / (parts.FirstOrDefault(other => other.Name == "step") ?? part).MedianSeconds;

    private static bool IsPartOfStep(string name) => name is not ("evaluation" or "encode" or "decode" or "input");

    private BenchmarkPart Part(string name, Timing timing) =>
        new(name, timing.MedianSeconds, timing.SpreadSeconds, timing.Repetitions) { ImagesPerSecond = BatchSize / timing.MedianSeconds };

    private static Action Scoped(Action work) =>
        () =>
        {
            using var scope = NewDisposeScope();
            work();
        };
}
