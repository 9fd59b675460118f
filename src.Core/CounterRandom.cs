namespace DQ.Core;

/// <summary>
/// Random numbers as a pure function of (seed, stream, counter): nothing to save, nothing shared between threads.
/// </summary>
/// <remarks>
/// SplitMix64 (Steele, Lea &amp; Flood, <i>Fast Splittable Pseudorandom Number Generators</i>, OOPSLA 2014): a Weyl sequence
/// through a 64-bit finalizer. Streams are told apart by hashing their number into the start of the sequence.
/// </remarks>
public struct CounterRandom(long seed, long stream)
{
    private const ulong Golden = 0x9E3779B97F4A7C15;
    private ulong state = Mix(Mix((ulong)seed) ^ (Golden * (ulong)stream + 1));

    /// <summary>The next 64 random bits.</summary>
    public ulong NextBits() => Mix(state += Golden);

    /// <summary>Uniform in [0, <paramref name="bound"/>), by multiply-shift with rejection (no bias).</summary>
    public long Below(long bound)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bound);
        var limit = (ulong)bound;
        var reject = unchecked(0 - limit) % limit;
        while (true)
        {
            var high = Math.BigMul(NextBits(), limit, out var low);
            if (low >= reject)
                return (long)high;
        }
    }

    /// <summary>Uniform in [0, 1), 53 bits.</summary>
    public double Uniform() => (NextBits() >> 11) * (1.0 / (1L << 53));

    /// <summary>The numbers 0 … <paramref name="count"/> − 1, of which the first <paramref name="drawn"/> are a random draw without
    /// replacement in random order (Fisher–Yates, stopped early).</summary>
    public int[] Permutation(int count, int drawn)
    {
        var order = new int[count];
        for (var index = 0; index < count; index++)
            order[index] = index;
        for (var index = 0; index < Math.Min(drawn, count - 1); index++)
        {
            var other = index + (int)Below(count - index);
            (order[index], order[other]) = (order[other], order[index]);
        }
        return order;
    }

    private static ulong Mix(ulong bits)
    {
        bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9;
        bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB;
        return bits ^ (bits >> 31);
    }
}
