using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.BitAllocation;

/// <summary>
/// 2^b cells of width Δ (the interval) from the channel's smallest calibration value on. The level of a cell is its middle. Values outside
/// go to the nearest cell. With 0 bits there is one cell, whose best middle is the channel's mean.
/// </summary>
public sealed class UniformQuantizer : ChannelQuantizer
{
    public override string Name => "uniform";

    public override bool TakesNegative => true;

    public override Tensor Widest(Tensor lowest, Tensor highest, Tensor levels) => (highest - lowest) / levels;

    public override Tensor Indices(Tensor values, Tensor interval, Tensor lowest, Tensor levels) =>
        minimum(((values - lowest) / Divisor(interval)).floor_().clamp_min_(Kept(0)), levels - Kept(1));

    public override Tensor Values(Tensor indices, Tensor interval, Tensor lowest, Tensor levels) =>
        (indices.Plus(Kept(0.5)) * interval).Plus(lowest);
}
