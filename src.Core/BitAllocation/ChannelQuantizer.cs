using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.BitAllocation;

/// <summary>
/// A scalar quantizer of feature channels: with b bits a value becomes one of 2^b levels, whose positions one number, the interval,
/// determines.
/// </summary>
/// <remarks>
/// All tensors broadcast against the values; levels are 2^b as float32, so that every channel can have its own b. With 0 bits there is one
/// level, which replaces all values of the channel.
/// </remarks>
public abstract class ChannelQuantizer
{
    /// <summary>Name with its parameters, such as <c>logarithmic-2</c>. A table is valid for one name only.</summary>
    public abstract string Name { get; }

    /// <summary>Whether values below zero have their own levels.</summary>
    public abstract bool TakesNegative { get; }

    /// <summary>The interval with which the levels cover the whole range of a channel. The best interval is searched around it.</summary>
    /// <param name="lowest">Smallest value of the channel on the calibration images.</param>
    /// <param name="highest">Largest value.</param>
    /// <param name="levels">Number of levels 2^b.</param>
    public abstract Tensor Widest(Tensor lowest, Tensor highest, Tensor levels);

    /// <summary>Index of each value's level, 0 to levels − 1, as float32.</summary>
    public abstract Tensor Indices(Tensor values, Tensor interval, Tensor lowest, Tensor levels);

    /// <summary>The level of each index.</summary>
    public abstract Tensor Values(Tensor indices, Tensor interval, Tensor lowest, Tensor levels);

    /// <summary>Replaces each value by its level.</summary>
    public Tensor Quantize(Tensor values, Tensor interval, Tensor lowest, Tensor levels)
    {
        using var scope = NewDisposeScope();
        return Values(Indices(values, interval, lowest, levels), interval, lowest, levels).MoveToOuterDisposeScope();
    }

    /// <summary>The interval as a divisor, which is not 0: the interval of a constant channel is 0.</summary>
    private protected static Tensor Divisor(Tensor interval) => interval.clamp_min(Kept(1e-30));
}
