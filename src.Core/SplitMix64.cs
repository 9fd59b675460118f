namespace DQ.Core;

/// <summary>
/// A small generator whose whole state is one counter: Steele, Lea &amp; Flood, "Fast splittable pseudorandom number generators"
/// (OOPSLA 2014), §5. A seed and up to two coordinates (epoch; step and index; image) select a stream. So a draw never depends on draws
/// elsewhere, and there is no state to save.
/// </summary>
public struct SplitMix64
{
    private const ulong GoldenGamma = 0x9E3779B97F4A7C15;

    private ulong _state;

    /// <summary>The stream of <paramref name="seed"/> and two coordinates.</summary>
    public SplitMix64(long seed, long first = 0, long second = 0) =>
        // each coordinate is mixed before the next is added, so that neighbouring coordinates give unrelated streams
        _state = Mix(Mix(Mix((ulong)seed + GoldenGamma) + (ulong)first * GoldenGamma) + (ulong)second * GoldenGamma);

    /// <summary>The seed of a numbered part; it is unrelated to those of other parts and of other seeds.</summary>
    public static long Derive(long seed, int part) => (long)new SplitMix64(seed, -1, part).Next();

    /// <summary>64 random bits.</summary>
    public ulong Next()
    {
        _state += GoldenGamma;
        return Mix(_state);
    }

    /// <summary>A uniform integer in [0, <paramref name="bound"/>), without modulo bias (Lemire 2019).</summary>
    public int Next(int bound)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bound);
        var range = (ulong)bound;
        var high = Math.BigMul(Next(), range, out var low);
        if (low < range)
            for (var threshold = (0UL - range) % range; low < threshold; )
                high = Math.BigMul(Next(), range, out low);
        return (int)high;
    }

    /// <summary>A uniform number in [0, 1) with 53 random bits.</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>A standard normal number (Box–Muller; the second number of the pair is not stored, so that the state stays one
    /// counter).</summary>
    public double NextNormal() => Math.Sqrt(-2 * Math.Log(1 - NextDouble())) * Math.Cos(2 * Math.PI * NextDouble());

    /// <summary>Fills <paramref name="order"/> with a uniform permutation of 0…length−1 (Fisher–Yates).</summary>
    public void Permute(Span<int> order)
    {
        for (var i = 0; i < order.Length; i++)
        {
            var j = Next(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
