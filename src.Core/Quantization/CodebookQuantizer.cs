using DQ.Core.Parallel;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// M codebooks of K code vectors; every position takes the nearest code of each. The input map's channels are cut in slices,
/// one per codebook or one for all; how codes learn is the derived types' matter.
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

    /// <summary>Slices of the input map that each go to codebooks of their own: M, or 1 when all see the same.</summary>
    protected abstract int Slices { get; }

    protected GradientEstimator Gradient { get; }

    /// <summary>Codes to prefer in a tie, to compare with another implementation; null otherwise.</summary>
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
        Start(centres, members / Kept(maps.Count)); // expected members a step
    }

    public override void Forget() => Usage.Dispose();

    /// <summary>The first codes (M, K, D) for vectors (S, N, D), and how many chose each (M, K).</summary>
    /// <param name="vectors">This rank's.</param>
    /// <param name="seed">Of the choice.</param>
    /// <param name="rows">How vectors lie on several ranks; null in one process.</param>
    protected virtual (Tensor Centres, Tensor Members) FirstCodes(Tensor vectors, long seed, SharedRows? rows) =>
        KMeans.Fit(vectors, Codebooks, CodeCount, seed, metric, rows);

    /// <summary>Takes first codes (M, K, D) and their expected counts a step (M, K) over.</summary>
    protected abstract void Start(Tensor centres, Tensor expected);

    /// <summary>The loss by which codes learn, where they learn by one.</summary>
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

    /// <summary>Brings dead codes back, after a step's learning.</summary>
    protected long[] Revive(CodebookState state, CodeUses seen, long seed, long step)
    {
        var revived = revival.Apply(state, seen, seed, step);
        state.Codebook.copy_(metric.Project(state.Codebook, 2));
        return revived;
    }

    /// <summary>What was quantized since the last optimizer step, now the caller's.</summary>
    protected CodeUses TakeUses() =>
        Usage.Take() ?? throw new InvalidOperationException("nothing was quantized in training mode since the last step");

    /// <summary>Decay of the moving averages at a step (from 0), warmed up.</summary>
    protected double Decay(long step) => Math.Min(spec.Decay, (1.0 + step) / (spec.DecayWarmup + step));

    /// <summary>Codes (M, K, D) where they are compared; differentiable.</summary>
    protected Tensor ProjectedCodebook() => metric.Project(Codebook, 2);

    /// <summary>(B, S·D, H, W) to (B, S, D, H, W) float32, where it is compared.</summary>
    protected Tensor Projected(Tensor map) =>
        metric.Project(map.to_type(ScalarType.Float32).view(map.shape[0], Slices, Width, map.shape[2], map.shape[3]), 2);

    /// <summary>(B, S, D, H, W) to (S, N, D), contiguous, detached: the vectors each slice's codebooks choose codes for.</summary>
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
