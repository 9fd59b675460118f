namespace DQ.Core.Coding;

/// <summary>
/// Exponential, logistic function and logarithm in fixed point. The tables are made by integer arithmetic alone, so that they hold
/// the same numbers on every machine: the mathematical functions of a system may differ in the last digit.
/// </summary>
internal static class IntegerTables
{
    /// <summary>Bits behind the point of exponentials: 1 is 2³⁰.</summary>
    public const int ExponentialBits = 30;

    /// <summary>Bits behind the point of the logistic function: 1 is 2²⁸, so that differences of neighbours times 2¹⁰ fit 31 bits.</summary>
    public const int UnitBits = 28;

    /// <summary>Entries of <see cref="Exponential"/> a unit of its argument.</summary>
    public const int ExponentialStepsBits = 8;

    private const int ExponentialRange = 16;
    private const int LogisticStepsBits = 6;

    /// <summary>Beyond it the logistic function is 0 or 1.</summary>
    public const int LogisticRange = 22;

    /// <summary>Bits of an argument between two entries of <see cref="LogisticTable"/>.</summary>
    public const int LogisticPartBits = 16 - LogisticStepsBits;

    // e^(−1/256) and e^(−1/64), times 2⁶³; ln 2 times 2⁶²
    private const ulong ExponentialStep = 9187413517043429148;
    private const ulong LogisticStep = 9080376907458843210;

    // e^7.5 / 127.5 · 2²⁰
    private const long LargestInverse = 14869568;
    private const ulong LogarithmOf2 = 3196577161300663915;

    /// <summary>e^(−i/256) · 2³⁰, i = 0 … 16 · 256.</summary>
    public static int[] Exponential { get; } =
    [.. Powers(ExponentialStep, (ExponentialRange << ExponentialStepsBits) + 1).Select(power => (int)((power + (1UL << 32)) >> 33))];

    /// <summary>Inverse scales in a pixel's steps, 20 bits behind the point: e^(7.5 − i/256) / 127.5, i = 0 … 9.5 · 256.</summary>
    public static int[] InverseScales { get; } =
    [.. Exponential.Take((19 << (ExponentialStepsBits - 1)) + 1).Select(power => (int)((power * LargestInverse) >> ExponentialBits))];

    /// 2²⁸ / (1 + e^(−i/64)), i = 0 … 22 · 64 + 1; from 20 on it is 2²⁸
    private static readonly int[] LogisticTable =
    [
        .. Powers(LogisticStep, (LogisticRange << LogisticStepsBits) + 2)
            .Select(power => (int)((((UInt128)1 << (63 + UnitBits)) + (((1UL << 63) + power) >> 1)) / (((UInt128)1 << 63) + power))),
    ];

    /// <summary>Of each entry of the table but the last, and its distance to the next in the upper half.</summary>
    public static long[] LogisticPairs { get; } =
    [.. LogisticTable.Zip(LogisticTable.Skip(1), (value, next) => ((long)(next - value) << 32) | (uint)value)];

    /// <summary>The logistic function · 2²⁸, never falling.</summary>
    /// <param name="argument">With 16 bits behind the point, above −2³¹.</param>
    public static int Logistic(int argument)
    {
        var size = Math.Min(Math.Abs(argument), LogisticRange << 16);
        var (index, part) = (size >> LogisticPartBits, size & ((1 << LogisticPartBits) - 1));
        var low = LogisticTable[index];
        var value = low + (((LogisticTable[index + 1] - low) * part) >> LogisticPartBits);
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
