using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace DQ.Core.Coding;

/// <summary>
/// Logistic functions of many components in integers: by vectors of four where the processor has SSE 4.1, else one by one, with the same
/// numbers. Arrays are padded to whole vectors.
/// </summary>
internal static unsafe class LogisticSum
{
    /// <summary>Components of a vector: counts are multiples of it.</summary>
    public const int Lanes = 4;

    /// <summary>The weights of a mixture sum to 2²⁴ or a little less.</summary>
    public const int WeightBits = 24;

    /// <summary>Bits behind the point of inverse scales.</summary>
    public const int InverseBits = 20;

    /// <summary>Whether vectors are used.</summary>
    public static bool HasVectors => Sse41.IsSupported;

    /// <summary>Σ weight · logistic((edge − mean) · inverse), times 2²⁸.</summary>
    /// <param name="edge">16 bits behind the point, 0 to 2²⁴.</param>
    /// <param name="means">16 bits behind the point, at most 2²⁵ in size.</param>
    /// <param name="inverses">20 bits behind the point, below 2²⁴.</param>
    /// <param name="weights">Below 2²⁵.</param>
    /// <param name="count">Components.</param>
    /// <param name="ends">The logistic functions themselves, times 2²⁸.</param>
    public static long At(int edge, int* means, int* inverses, int* weights, int count, int* ends) =>
        HasVectors ? Vectors(edge, means, inverses, weights, count, ends) : Plain(edge, means, inverses, weights, count, ends);

    internal static long Plain(int edge, int* means, int* inverses, int* weights, int count, int* ends)
    {
        long sum = 0;
        for (var i = 0; i < count; i++)
        {
            ends[i] = IntegerTables.Logistic((int)(((long)(edge - means[i]) * inverses[i]) >> InverseBits));
            sum += (long)weights[i] * ends[i];
        }
        return sum >> WeightBits;
    }

    internal static long Vectors(int edge, int* means, int* inverses, int* weights, int count, int* ends)
    {
        var sums = Vector128<long>.Zero;
        var edges = Vector128.Create(edge);
        fixed (long* table = IntegerTables.LogisticPairs)
            for (var i = 0; i < count; i += Lanes)
            {
                var difference = edges - Vector128.Load(means + i);
                var inverse = Vector128.Load(inverses + i);
                // products fit 50 bits: their bits 20 to 51 are the argument
                var even = Sse41.Multiply(difference, inverse);
                var odd = Sse41.Multiply(Odd(difference), Odd(inverse));
                var value = Logistic(Joined(even >>> InverseBits, odd << (32 - InverseBits)), table);
                value.Store(ends + i);
                var weight = Vector128.Load(weights + i);
                sums += Sse41.Multiply(value, weight) + Sse41.Multiply(Odd(value), Odd(weight));
            }
        return Vector128.Sum(sums) >> WeightBits;
    }

    /// <summary>The logistic functions of four arguments: as <see cref="IntegerTables.Logistic"/>.</summary>
    public static Vector128<int> Logistic(Vector128<int> argument, long* table)
    {
        var size = Vector128.Min(Vector128.Abs(argument), Vector128.Create(IntegerTables.LogisticRange << 16));
        var part = size & Vector128.Create((1 << IntegerTables.LogisticPartBits) - 1);
        var (first, second) = Halves(size >> IntegerTables.LogisticPartBits);
        // a pair has a value and its distance to the next; loads of pairs are faster than gathers
        var left = Vector128.Create(table[(uint)first], table[first >> 32]).AsSingle();
        var right = Vector128.Create(table[(uint)second], table[second >> 32]).AsSingle();
        var low = Sse.Shuffle(left, right, 0b10001000).AsInt32();
        var distance = Sse.Shuffle(left, right, 0b11011101).AsInt32();
        var value = low + ((distance * part) >> IntegerTables.LogisticPartBits);
        // 1 − value where the argument is below 0: value ^ −1 is −value − 1
        var negative = argument >> 31;
        return (value ^ negative) + (negative & Vector128.Create((1 << IntegerTables.UnitBits) + 1));
    }

    /// <summary>Four entries of a table.</summary>
    public static Vector128<int> Entries(int* table, Vector128<int> index)
    {
        var (first, second) = Halves(index);
        return Vector128.Create(table[(uint)first], table[first >> 32], table[(uint)second], table[second >> 32]);
    }

    /// <summary>The odd components at the places of the even ones.</summary>
    public static Vector128<int> Odd(Vector128<int> values) => (values.AsInt64() >>> 32).AsInt32();

    /// <summary>The low halves of the first at even places, the high halves of the second at odd ones.</summary>
    public static Vector128<int> Joined(Vector128<long> even, Vector128<long> odd) =>
        Sse41.Blend(even.AsInt16(), odd.AsInt16(), 0b11001100).AsInt32();

    private static (long, long) Halves(Vector128<int> values) => (values.AsInt64().ToScalar(), values.AsInt64().GetElement(1));
}
