using TorchSharp.Modules;
using TorchSharp.Utils;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// Vector quantization whose codes learn by gradient: all M codebooks quantize the same map. A separate loss pulls codes towards the
/// vectors that chose them; the model's optimizer updates them. (B, D, H, W) to (B, M·D, H, W).
/// </summary>
/// <remarks>
/// Source: van den Oord et al. 2017, <i>Neural Discrete Representation Learning</i>, equation 3: the codebook loss |sg(u) − q|² has
/// weight 1, the commitment loss |u − sg(q)|² weight β. Added here: first codes by k-means, and revival by a moving average of the codes'
/// counts. A revived code keeps the optimizer's moments of the one it replaces.
/// State-dict keys: <c>codes</c> (M, K, D), a parameter;
/// <c>counts</c> (M, K).
/// </remarks>
public sealed class VectorGradientQuantizer : CodebookQuantizer
{
    /// <summary>The name of this kind in configurations.</summary>
    public const string Kind = "vector_gradient";

    [ComponentName(Name = "codes")]
    private readonly Parameter codes;

    [ComponentName(Name = "counts")]
    private readonly Tensor counts;

    public VectorGradientQuantizer(QuantizerSpec spec, int codebooks, int codeCount, int width)
        : base(nameof(VectorGradientQuantizer), spec, codebooks, codeCount, width)
    {
        codes = new Parameter(randn(codebooks, codeCount, width).DetachFromDisposeScope());
        counts = ones(codebooks, codeCount).DetachFromDisposeScope();
        RegisterComponents();
    }

    public override Tensor Codebook => codes;

    protected override int Slices => 1;

    public override long[] Learn(long seed, long step)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var seen = TakeUses();
        var decay = Decay(step);
        counts.mul_(Kept(decay)).add_(seen.Counts, alpha: Kept(1 - decay));
        return Revive(new CodebookState(codes, counts), seen, seed, step);
    }

    protected override Tensor CodeLoss(Tensor nearest, Tensor input) => (nearest - input.detach()).Squared().mean([0, 2, 3, 4]).sum();

    protected override void Start(Tensor centres, Tensor expected)
    {
        codes.copy_(centres);
        counts.copy_(expected);
    }
}
