using System.Globalization;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.BitAllocation;

/// <summary>
/// Its levels are zero and the 2^b − 1 powers v, v/a, v/a², … of a base a (v is the interval). Each value becomes the nearest level.
/// (Miyashita et al. 2016 round exponents instead.) With 0 bits the channel is 0. More bits add smaller levels and do not make the others
/// finer. From some number of bits on, only a smaller base helps.
/// </summary>
public sealed class LogarithmicQuantizer : ChannelQuantizer
{
    private readonly double powerBase;

    /// <param name="powerBase">a, above 1.</param>
    public LogarithmicQuantizer(double powerBase)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(powerBase, 1);
        this.powerBase = powerBase;
    }

    public override string Name => string.Create(CultureInfo.InvariantCulture, $"logarithmic-{powerBase}");

    public override bool TakesNegative => false;

    public override Tensor Widest(Tensor lowest, Tensor highest, Tensor levels) => highest.Plus(zeros_like(levels));

    /// Index 0 is zero, index k + 1 is v·a^−k.
    public override Tensor Indices(Tensor values, Tensor interval, Tensor lowest, Tensor levels)
    {
        // the boundary between a^−k and a^−(k+1) is their mean, h·a^−k: below it k + 1 is nearer
        var half = (1 + 1 / powerBase) / 2;
        var power = ((Divisor(interval) * Kept(half)).log() - values.clamp_min(Kept(1e-30)).log()) / Kept(Math.Log(powerBase));
        var last = levels - Kept(2); // the smallest power's k
        var nearest = minimum(power.floor_().Plus(Kept(1)).clamp_min_(Kept(0)), last.clamp_min(Kept(0)));
        var zero = values.less(Power(interval, last) / Kept(2)).logical_or_(levels.less(2));
        return nearest.Plus(Kept(1)).masked_fill_(zero, Kept(0));
    }

    public override Tensor Values(Tensor indices, Tensor interval, Tensor lowest, Tensor levels) =>
        Power(interval, indices - Kept(1)).masked_fill_(indices.less(1), Kept(0));

    private Tensor Power(Tensor interval, Tensor k) => interval * (k * Kept(-Math.Log(powerBase))).exp();
}
