using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.BitAllocation;

/// <summary>
/// A scalar quantizer of feature channels: with b bits a value becomes one of 2^b levels that one number, the interval, places.
/// </summary>
/// <remarks>
/// All tensors broadcast against the values; levels are 2^b as float32, so that every channel may have its own b. Levels of 0 bits
/// are one: what a channel without bits is replaced by.
/// </remarks>
public abstract class ChannelQuantizer
{
    /// <summary>With what it depends on, such as <c>logarithmic-2</c>: a table made for one name fits no other.</summary>
    public abstract string Name { get; }

    /// <summary>Whether values below zero have levels of their own.</summary>
    public abstract bool TakesNegative { get; }

    /// <summary>The interval with which the levels reach over all of a channel's range; the best one is searched around it.</summary>
    /// <param name="lowest">Smallest value of the channel on the calibration images.</param>
    /// <param name="highest">Largest.</param>
    /// <param name="levels">2^b.</param>
    public abstract Tensor Widest(Tensor lowest, Tensor highest, Tensor levels);

    /// <summary>Index of the level that stands for each value, 0 to levels − 1, as float32.</summary>
    public abstract Tensor Indices(Tensor values, Tensor interval, Tensor lowest, Tensor levels);

    /// <summary>The level of each index.</summary>
    public abstract Tensor Values(Tensor indices, Tensor interval, Tensor lowest, Tensor levels);

    /// <summary>Each value replaced by its level.</summary>
    public Tensor Quantize(Tensor values, Tensor interval, Tensor lowest, Tensor levels)
    {
        using var scope = NewDisposeScope();
        return Values(Indices(values, interval, lowest, levels), interval, lowest, levels).MoveToOuterDisposeScope();
    }

    /// <summary>An interval to divide by: a channel that never changes has one of 0.</summary>
    private protected static Tensor Divisor(Tensor interval) => interval.clamp_min(Kept(1e-30));
}
