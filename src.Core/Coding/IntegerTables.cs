namespace DQ.Core.Coding;

/// <summary>
/// Exponential, logistic function and logarithm in fixed point. The tables are made by integer arithmetic alone, so that they hold
/// the same numbers on every machine: the mathematical functions of a system may differ in the last digit.
/// </summary>
internal static class IntegerTables
{
    /// <summary>Bits behind the point of exponentials and of the logistic function: 1 is 2³⁰.</summary>
    public const int UnitBits = 30;

    /// <summary>Entries of <see cref="Exponential"/> a unit of its argument.</summary>
    public const int ExponentialStepsBits = 10;

    private const int ExponentialRange = 16;
    private const int LogisticStepsBits = 6;
    private const int LogisticRange = 22;

    // e^(−1/1024) and e^(−1/64), times 2⁶³; ln 2 times 2⁶²
    private const ulong ExponentialStep = 9214369234215239612;
    private const ulong LogisticStep = 9080376907458843210;
    private const ulong LogarithmOf2 = 3196577161300663915;

    /// <summary>e^(−i/1024) · 2³⁰, i = 0 … 16 · 1024.</summary>
    public static uint[] Exponential { get; } =
        [.. Powers(ExponentialStep, (ExponentialRange << ExponentialStepsBits) + 1).Select(power => (uint)((power + (1UL << 32)) >> 33))];

    /// 2³⁰ / (1 + e^(−i/64)), i = 0 … 22 · 64 + 1; from 21 on it is 2³⁰
    private static readonly int[] LogisticTable =
    [
        .. Powers(LogisticStep, (LogisticRange << LogisticStepsBits) + 2)
            .Select(power => (int)((((UInt128)1 << (63 + UnitBits)) + (((1UL << 63) + power) >> 1)) / (((UInt128)1 << 63) + power))),
    ];

    /// <summary>The logistic function · 2³⁰, never falling.</summary>
    /// <param name="argument">With 16 bits behind the point, any value.</param>
    public static int Logistic(long argument)
    {
        const int PartBits = 16 - LogisticStepsBits;
        var size = (int)Math.Min(Math.Abs(argument), LogisticRange << 16);
        var (index, part) = (size >> PartBits, size & ((1 << PartBits) - 1));
        var low = LogisticTable[index];
        var value = low + (int)(((long)(LogisticTable[index + 1] - low) * part) >> PartBits);
        return argument < 0 ? (1 << UnitBits) - value : value;
    }

    /// <summary>ln <paramref name="value"/> · 2²⁴, rounded down.</summary>
    public static long Logarithm(ulong value)
    {
        var whole = 63 - System.Numerics.BitOperations.LeadingZeroCount(value);
        // mantissa in [1, 2) with 62 bits behind the point; each squaring gives the logarithm's next bit
        var mantissa = (UInt128)(value << (63 - whole)) >> 1;
        var binary = (UInt128)whole;
        for (var bit = 0; bit < 32; bit++)
        {
            mantissa = (mantissa * mantissa) >> 62;
            var one = mantissa >> 63;
            mantissa >>= (int)one;
            binary = (binary << 1) | one;
        }
        return (long)((binary * LogarithmOf2) >> (62 + 32 - 24));
    }

    /// The powers of a number below 1, from the zeroth on, times 2⁶³.
    private static IEnumerable<ulong> Powers(ulong step, int count)
    {
        var power = 1UL << 63;
        for (var i = 0; i < count; i++)
        {
            yield return power;
            power = (ulong)(((UInt128)power * step) >> 63);
        }
    }
}
