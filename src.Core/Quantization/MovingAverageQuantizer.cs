using TorchSharp.Utils;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// M codebooks whose codes follow, by exponential moving average, the vectors assigned to them. What differs between
/// depthwise and vector quantization is only which vectors each codebook sees.
/// </summary>
/// <remarks>
/// van den Oord et al. 2017, <i>Neural Discrete Representation Learning</i>, appendix A.1, with Laplace-smoothed counts:
/// N ← γN + (1−γ)n, A ← γA + (1−γ)s, code = A / Ñ, with γ warmed up (<see cref="QuantizerSpec.DecayWarmup"/>). State-dict keys: <c>codes</c> (M, K, D), <c>counts</c> (M, K) = N,
/// <c>sums</c> (M, K, D) = A; float32 whatever the network's precision.
/// Axis legend: B batch, M codebooks, K codes, D code width, H W grid sides, N = B·H·W vectors of a batch.
/// </remarks>
public abstract class MovingAverageQuantizer : Quantizer
{
    [ComponentName(Name = "codes")]
    private readonly Tensor codes;

    [ComponentName(Name = "counts")]
    private readonly Tensor counts;

    [ComponentName(Name = "sums")]
    private readonly Tensor sums;

    private readonly QuantizerSpec spec;
    private readonly CodeRevival revival;
    private readonly CodeUsage usage = new();
    private readonly int codebooks;
    private readonly int codeCount;
    private readonly int width;

    protected MovingAverageQuantizer(string name, QuantizerSpec spec, int codebooks, int codeCount, int width)
        : base(name)
    {
        this.spec = spec;
        (this.codebooks, this.codeCount, this.width) = (codebooks, codeCount, width);
        revival = CodeRevival.Create(spec);
        codes = randn(codebooks, codeCount, width).DetachFromDisposeScope();
        counts = ones(codebooks, codeCount).DetachFromDisposeScope();
        sums = codes.clone().DetachFromDisposeScope();
        RegisterComponents();
    }

    public override int Codebooks => codebooks;

    public override int CodeCount => codeCount;

    public override int OutputChannels => codebooks * width;

    /// <summary>Width D of a code.</summary>
    public int Width => width;

    /// <summary>The codes (M, K, D); not a copy.</summary>
    public Tensor Codes => codes;

    /// <summary>Slices of the input map that each go to codebooks of their own: M, or 1 when all see the same.</summary>
    protected abstract int Slices { get; }

    public override int InputChannels => Slices * width;

    public override Quantized Quantize(Tensor map)
    {
        using var scope = NewDisposeScope();
        var (batch, height, side) = (map.shape[0], map.shape[2], map.shape[3]);
        var vectors = Vectors(map);
        var chosen = NearestCodes.Find(vectors, codes); // (M, N)
        if (training)
            usage.Add(vectors, chosen, codes);
        var nearest = EmbedRows(chosen, batch, height, side); // (B, M, D, H, W)
        var input = map.to_type(ScalarType.Float32).view(batch, Slices, width, height, side);
        var errors = (nearest - input).square().mean([0, 2, 3, 4]); // (M)
        var straight = input + (nearest - input).detach(); // value q, gradient of u
        return new Quantized(
            straight.reshape(batch, OutputChannels, height, side).MoveToOuterDisposeScope(),
            chosen.view(codebooks, batch, height, side).permute(1, 0, 2, 3).contiguous().MoveToOuterDisposeScope(),
            errors.sum().MoveToOuterDisposeScope(),
            errors.detach().MoveToOuterDisposeScope()
        );
    }

    public override Tensor Embed(Tensor codes)
    {
        if (codes.dim() != 4 || codes.shape[1] != codebooks)
            throw new ArgumentException($"expected codes (B, {codebooks}, H, W), got ({string.Join(", ", codes.shape)})", nameof(codes));
        using var scope = NewDisposeScope();
        var (batch, height, side) = (codes.shape[0], codes.shape[2], codes.shape[3]);
        var rows = codes.permute(1, 0, 2, 3).reshape(codebooks, -1); // (M, N)
        return EmbedRows(rows, batch, height, side).reshape(batch, OutputChannels, height, side).MoveToOuterDisposeScope();
    }

    public override void Initialize(IReadOnlyList<Tensor> maps, long seed)
    {
        if (spec.Initialization != "kmeans")
            return;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var vectors = cat([.. maps.Select(Vectors)], 1);
        var (centres, members) = KMeans.Fit(vectors, codebooks, codeCount, seed);
        codes.copy_(centres);
        counts.copy_(members / maps.Count); // expected members a step
        sums.copy_(codes * counts.unsqueeze(2));
    }

    public override long[] Learn(long seed, long step)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var seen = usage.Take() ?? throw new InvalidOperationException("nothing was quantized in training mode since the last step");
        var decay = Math.Min(spec.Decay, (1.0 + step) / (spec.DecayWarmup + step));
        counts.mul_(decay).add_(seen.Counts, alpha: 1 - decay);
        sums.mul_(decay).add_(seen.Sums, alpha: 1 - decay);
        var total = counts.sum(1, keepdim: true);
        var smoothed = (counts + spec.Epsilon) / (total + codeCount * spec.Epsilon) * total; // Ñ (M, K)
        codes.copy_(sums / smoothed.unsqueeze(2));
        return revival.Apply(new CodebookState(codes, counts, sums, smoothed), seen, seed, step);
    }

    public override void Forget() => usage.Dispose();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            usage.Dispose();
        base.Dispose(disposing);
    }

    /// (B, S·D, H, W) to (S, N, D), contiguous float32: the vectors each slice's codebooks choose codes for.
    private Tensor Vectors(Tensor map) =>
        map.detach()
            .to_type(ScalarType.Float32)
            .view(map.shape[0], Slices, width, -1)
            .permute(1, 0, 3, 2)
            .reshape(Slices, -1, width)
            .contiguous();

    /// (M, N) codes to the code vectors in map order (B, M, D, H, W).
    private Tensor EmbedRows(Tensor rows, long batch, long height, long side)
    {
        var offsets = arange(codebooks, device: rows.device).unsqueeze(1) * codeCount;
        var flat = (rows + offsets).view(-1);
        return codes
            .view(-1, width)
            .index_select(0, flat) // (M·N, D)
            .view(codebooks, batch, height, side, width)
            .permute(1, 0, 4, 2, 3)
            .contiguous();
    }
}
