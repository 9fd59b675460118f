using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.BitAllocation;

/// <summary>
/// The quantizer of activations of DoReFa-Net (Zhou et al. 2016, equation 5 and section 2.3): clipped to [0, v] (v the interval) and
/// rounded to 2^b − 1 equal steps, so that 0 and v are levels. With 0 bits there is no step, and the channel is 0.
/// </summary>
/// <remarks>In the paper v is 1 for all channels. Here each channel and bit count has its own v.</remarks>
public sealed class DoReFaQuantizer : ChannelQuantizer
{
    public override string Name => "dorefa";

    public override bool TakesNegative => false;

    public override Tensor Widest(Tensor lowest, Tensor highest, Tensor levels) => highest.Plus(zeros_like(levels));

    public override Tensor Indices(Tensor values, Tensor interval, Tensor lowest, Tensor levels) =>
        ((values / Divisor(interval)).clamp_(Kept(0), Kept(1)) * (levels - Kept(1))).round_();

    public override Tensor Values(Tensor indices, Tensor interval, Tensor lowest, Tensor levels) =>
        indices * (interval / (levels - Kept(1)).clamp_min(Kept(1)));
}
