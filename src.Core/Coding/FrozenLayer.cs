namespace DQ.Core.Coding;

/// <summary>A linear layer in integers: sums of int16 products in int32, none of which can overflow.</summary>
/// <param name="Inputs">Length of the input.</param>
/// <param name="Outputs">Length of the output.</param>
/// <param name="Weights">(Outputs, Inputs), row by row.</param>
/// <param name="Bias">(Outputs), in units of the sums.</param>
/// <param name="Shift">Bits that are dropped from a sum to get an activation; for the last layer, bits behind the point of its sums.</param>
public sealed record FrozenLayer(int Inputs, int Outputs, short[] Weights, int[] Bias, int Shift)
{
    /// <summary>The largest size a row's sum can have.</summary>
    /// <param name="row">Of <see cref="Outputs"/>.</param>
    /// <param name="limits">The largest size of each input.</param>
    public long LargestSum(int row, ReadOnlySpan<int> limits) => Math.Abs((long)Bias[row]) + LargestProducts(row, limits);

    /// <summary>A number that a row's sum can't exceed.</summary>
    /// <param name="row">Of <see cref="Outputs"/>.</param>
    /// <param name="limits">The largest size of each input.</param>
    public long HighestSum(int row, ReadOnlySpan<int> limits) => Bias[row] + LargestProducts(row, limits);

    private long LargestProducts(int row, ReadOnlySpan<int> limits)
    {
        long sum = 0;
        for (var input = 0; input < Inputs; input++)
            sum += Math.Abs((long)Weights[row * Inputs + input]) * limits[input];
        return sum;
    }
}
