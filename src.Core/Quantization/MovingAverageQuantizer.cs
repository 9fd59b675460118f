using TorchSharp.Utils;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>M codebooks whose codes are exponential moving averages of the vectors assigned to them.</summary>
/// <remarks>
/// van den Oord et al. 2017, <i>Neural Discrete Representation Learning</i>, appendix A.1, with Laplace-smoothed counts:
/// N ← γN + (1−γ)n, A ← γA + (1−γ)s, code = A / Ñ, with γ warmed up (<see cref="QuantizerSpec.DecayWarmup"/>).
/// State-dict keys: <c>codes</c> (M, K, D), <c>counts</c> (M, K) = N, <c>sums</c> (M, K, D) = A; float32 whatever the network's precision.
/// Axis legend: M codebooks, K codes, D code width.
/// </remarks>
public abstract class MovingAverageQuantizer : CodebookQuantizer
{
    [ComponentName(Name = "codes")]
    private readonly Tensor codes;

    [ComponentName(Name = "counts")]
    private readonly Tensor counts;

    [ComponentName(Name = "sums")]
    private readonly Tensor sums;

    private readonly QuantizerSpec spec;

    protected MovingAverageQuantizer(string name, QuantizerSpec spec, int codebooks, int codeCount, int width)
        : base(name, spec, codebooks, codeCount, width)
    {
        this.spec = spec;
        codes = randn(codebooks, codeCount, width).DetachFromDisposeScope();
        codes.copy_(ProjectedCodebook());
        counts = ones(codebooks, codeCount).DetachFromDisposeScope();
        sums = codes.clone().DetachFromDisposeScope();
        RegisterComponents();
    }

    public override Tensor Codebook => codes;

    public override long[] Learn(long seed, long step)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var seen = TakeUses();
        var decay = Decay(step);
        counts.mul_(Kept(decay)).add_(seen.Counts, alpha: Kept(1 - decay));
        sums.mul_(Kept(decay)).add_(seen.Sums, alpha: Kept(1 - decay));
        var total = counts.sum(1, keepdim: true);
        var smoothed = counts.Plus(Kept(spec.Epsilon)) / total.Plus(Kept(CodeCount * spec.Epsilon)) * total; // Ñ (M, K)
        codes.copy_(sums / smoothed.unsqueeze(2));
        return Revive(new CodebookState(codes, counts, sums, smoothed), seen, seed, step);
    }

    /// <summary>What was quantized since the last optimizer step; the caller disposes it.</summary>
    internal CodeUses Take() => TakeUses();

    /// <summary>The codes learn next from these statistics, which stay the caller's.</summary>
    internal void Give(CodeUses seen) => Usage.Give(seen);

    protected override void Start(Tensor centres, Tensor expected)
    {
        codes.copy_(centres);
        counts.copy_(expected);
        sums.copy_(codes * counts.unsqueeze(2));
    }
}
