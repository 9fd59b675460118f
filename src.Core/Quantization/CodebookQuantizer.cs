using DQ.Core.Parallel;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// M codebooks of K code vectors. Every position takes the nearest code of each codebook. The input map's channels are cut into slices, one
/// per codebook or one for all codebooks. Derived types define how codes learn.
/// </summary>
/// <remarks>Axis legend: B batch, M codebooks, S slices (M or 1), K codes, D code width, H W grid sides, N = B·H·W vectors of a batch.</remarks>
public abstract class CodebookQuantizer : Quantizer
{
    private readonly QuantizerSpec spec;
    private readonly CodeMetric metric;
    private readonly CodeRevival revival;

    protected CodebookQuantizer(string name, QuantizerSpec spec, int codebooks, int codeCount, int width)
        : base(name)
    {
        this.spec = spec;
        (Codebooks, CodeCount, Width) = (codebooks, codeCount, width);
        metric = CodeMetric.Create(spec);
        Gradient = GradientEstimator.Create(spec);
        revival = CodeRevival.Create(spec);
    }

    public override int Codebooks { get; }

    public override int CodeCount { get; }

    /// <summary>Width D of a code.</summary>
    public int Width { get; }

    /// <summary>The codes (M, K, D); not a copy.</summary>
    public abstract Tensor Codebook { get; }

    public override int InputChannels => Slices * Width;

    public override int OutputChannels => Codebooks * Width;

    public override long MultiplyAddsPerPosition => (long)Codebooks * CodeCount * Width;

    public override bool NeedsInitialization => spec.Initialization == "kmeans";

    /// <summary>Number of slices of the input map: M if each codebook has its own slice, 1 if all codebooks share one.</summary>
    protected abstract int Slices { get; }

    protected GradientEstimator Gradient { get; }

    /// <summary>Codes to prefer in a tie, for a comparison with another implementation; null otherwise.</summary>
    internal CodeTies? Recorded { get; set; }

    /// <summary>What was quantized since the last optimizer step.</summary>
    protected CodeUsage Usage { get; } = new();

    public override IReadOnlyList<Tensor> Collected => Usage.Collected;

    public override void Initialize(IReadOnlyList<Tensor> maps, long seed, Sharing? sharing = null)
    {
        if (!NeedsInitialization)
            return;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var vectors = cat([.. maps.Select(map => Vectors(Projected(map)))], 1); // (S, N, D)
        var rows = sharing?.Rows(maps[0].shape[2] * maps[0].shape[3], vectors.shape[1]);
        var (centres, members) = FirstCodes(vectors, seed, rows);
        Start(centres, members / Kept(maps.Count)); // expected members per step
    }

    public override void Forget() => Usage.Dispose();

    /// <summary>Computes the first codes (M, K, D) for vectors (S, N, D), and how many vectors chose each code (M, K).</summary>
    /// <param name="vectors">This rank's.</param>
    /// <param name="seed">Of the choice.</param>
    /// <param name="rows">How vectors lie on several ranks; null in one process.</param>
    protected virtual (Tensor Centres, Tensor Members) FirstCodes(Tensor vectors, long seed, SharedRows? rows) =>
        KMeans.Fit(vectors, Codebooks, CodeCount, seed, metric, rows);

    /// <summary>Sets the first codes (M, K, D) and their expected counts per step (M, K).</summary>
    protected abstract void Start(Tensor centres, Tensor expected);

    /// <summary>The loss by which codes learn, if they learn by a loss.</summary>
    /// <param name="nearest">(B, M, D, H, W), differentiable in the codes.</param>
    /// <param name="input">(B, S, D, H, W).</param>
    protected virtual Tensor? CodeLoss(Tensor nearest, Tensor input) => null;

    protected override Quantized QuantizeMap(Tensor map, TrainingMoment moment)
    {
        var (batch, height, width) = (map.shape[0], map.shape[2], map.shape[3]);
        var input = Projected(map);
        var codes = ProjectedCodebook();
        var vectors = Vectors(input);
        var chosen = NearestCodes.Find(vectors, codes); // (M, N)
        if (Recorded is { } recorded)
            chosen = recorded.Settle(vectors, codes, chosen);
        if (training)
            Usage.Add(vectors, chosen, codes.detach(), moment.Sharing?.Rows(height * width, vectors.shape[1]));
        var nearest = CodeMaps.Vectors(CodeMaps.Lookup(codes, chosen), batch, height, width);
        var squares = (nearest.detach() - input).Squared(); // (B, M, D, H, W)
        var errors = squares.mean([0, 2, 3, 4]); // (M)
        return new(
            Gradient.Apply(input, nearest).reshape(batch, OutputChannels, height, width),
            CodeMaps.Indices(chosen, batch, height, width),
            errors.sum(),
            errors.detach(),
            CodeLoss(nearest, input),
            Distances(squares)
        );
    }

    protected override Tensor EmbedCodes(Tensor codes)
    {
        var (batch, height, width) = (codes.shape[0], codes.shape[2], codes.shape[3]);
        return CodeMaps
            .Vectors(CodeMaps.Lookup(ProjectedCodebook(), CodeMaps.Rows(codes)), batch, height, width)
            .reshape(batch, OutputChannels, height, width);
    }

    /// <summary>Revives dead codes, after the codes have learned from a step.</summary>
    protected long[] Revive(CodebookState state, CodeUses seen, long seed, long step)
    {
        var revived = revival.Apply(state, seen, seed, step);
        state.Codebook.copy_(metric.Project(state.Codebook, 2));
        return revived;
    }

    /// <summary>Returns the statistics since the last optimizer step. The caller disposes them.</summary>
    protected CodeUses TakeUses() =>
        Usage.Take() ?? throw new InvalidOperationException("nothing was quantized in training mode since the last step");

    /// <summary>Decay of the moving averages at a step (from 0), with its warm-up.</summary>
    protected double Decay(long step) => Math.Min(spec.Decay, (1.0 + step) / (spec.DecayWarmup + step));

    /// <summary>Codes (M, K, D) after the metric's transformation; differentiable.</summary>
    protected Tensor ProjectedCodebook() => metric.Project(Codebook, 2);

    /// <summary>(B, S·D, H, W) to (B, S, D, H, W), after the metric's transformation.</summary>
    protected Tensor Projected(Tensor map) => metric.Project(map.view(map.shape[0], Slices, Width, map.shape[2], map.shape[3]), 2);

    /// <summary>(B, S, D, H, W) to (S, N, D), contiguous, detached: the vectors of each slice, for which codes are chosen.</summary>
    protected static Tensor Vectors(Tensor input)
    {
        var (slices, width) = (input.shape[1], input.shape[2]);
        return input.detach().flatten(3).permute(1, 0, 3, 2).reshape(slices, -1, width).contiguous();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            Usage.Dispose();
        base.Dispose(disposing);
    }
}
