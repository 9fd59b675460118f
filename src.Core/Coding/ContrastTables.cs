namespace DQ.Core.Coding;

/// <summary>
/// What depends on the local contrast σ alone, by its integer T: σ = (T + floor), T = 3 S + Σ S over the channels for color and 6 S for
/// gray, S being the sum of the five differences of a channel (0 … 1275).
/// </summary>
internal sealed class ContrastTables
{
    /// <summary>The largest T.</summary>
    public const int Largest = 6 * 5 * 255;

    // ln 0.6 and ln(7680 · 127.5), times 2²⁴
    private const long LogarithmOfUnit = -8570232;

    public ContrastTables(int floor)
    {
        var logarithmOfOne = IntegerTables.Logarithm(FrozenContext.ContrastUnits * 255 / 2);
        // differences have up to 9 bits and a sign; their products with a reciprocal must stay below 2³¹
        ReciprocalBits = Math.Min(12, System.Numerics.BitOperations.Log2((uint)(((1L << 31) - 1) / 512 / Reciprocal(floor, 0))));
        for (var contrast = 0; contrast <= Largest; contrast++)
        {
            var sigma = ((long)contrast << 8) + floor;
            Reciprocals[contrast] = (int)Reciprocal(sigma, ReciprocalBits);
            var logarithm = IntegerTables.Logarithm((ulong)sigma) - logarithmOfOne;
            LogInputs[contrast] = (short)Round(logarithm, 24 - FrozenContext.InputBits);
            LogUnits[contrast] = (int)Round(logarithm + LogarithmOfUnit, 24 - 16);
            Units[contrast] = (int)((sigma * 6 * 65536 / 10 + FrozenContext.ContrastUnits / 2) / FrozenContext.ContrastUnits);
        }
    }

    /// <summary>Bits behind the point of <see cref="Reciprocals"/> · difference, beyond those of the net's inputs.</summary>
    public int ReciprocalBits { get; }

    /// <summary>1/σ for differences of pixels in 255 steps.</summary>
    public int[] Reciprocals { get; } = new int[Largest + 1];

    /// <summary>ln σ of pixels in [−1, 1] as the net's input.</summary>
    public short[] LogInputs { get; } = new short[Largest + 1];

    /// <summary>ln(0.6 σ) of pixels in [−1, 1], 16 bits behind the point.</summary>
    public int[] LogUnits { get; } = new int[Largest + 1];

    /// <summary>0.6 σ in a pixel's 255 steps, 16 bits behind the point.</summary>
    public int[] Units { get; } = new int[Largest + 1];

    private static long Reciprocal(long sigma, int bits) =>
        (((long)FrozenContext.ContrastUnits << (FrozenContext.InputBits + bits)) + sigma / 2) / sigma;

    private static long Round(long value, int bits) => (value + (1L << (bits - 1))) >> bits;
}
