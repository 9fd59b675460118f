using DQ.Core.Coding;

namespace DQ.Core.Priors;

/// <summary>The probabilities of one code in integers: frequencies of at least 1 that sum to 2²⁴.</summary>
internal sealed class CodeProbabilities
{
    /// <summary>All frequencies sum to 2^<see cref="Bits"/>.</summary>
    public const int Bits = 24;

    private uint[] frequencies = [];
    private int count;

    public ReadOnlySpan<uint> Frequencies => frequencies.AsSpan(0, count);

    /// <summary>exp(logit) over its sum, in integers.</summary>
    /// <param name="logits">With this many bits behind the point.</param>
    /// <param name="bits">At least <see cref="IntegerTables.ExponentialStepsBits"/>.</param>
    public void Fill(ReadOnlySpan<int> logits, int bits)
    {
        count = logits.Length;
        if (frequencies.Length < count)
            frequencies = new uint[count];
        var (largest, at) = (logits[0], 0);
        for (var code = 1; code < count; code++)
            if (logits[code] > largest)
                (largest, at) = (logits[code], code);
        var exponentials = IntegerTables.Exponential;
        var shift = bits - IntegerTables.ExponentialStepsBits;
        var sum = 0UL;
        for (var code = 0; code < count; code++)
        {
            var distance = Math.Min(((long)largest - logits[code]) >> shift, exponentials.Length - 1);
            var power = (uint)exponentials[distance];
            frequencies[code] = power;
            sum += power;
        }
        // at most 2²⁶, because the largest exponential is 2³⁰; products stay below 2⁵⁶
        var share = (((1UL << Bits) - (ulong)count) << 32) / sum;
        var rest = 1U << Bits;
        for (var code = 0; code < count; code++)
        {
            frequencies[code] = 1 + (uint)((frequencies[code] * share) >> 32);
            rest -= frequencies[code];
        }
        frequencies[at] += rest;
    }

    /// <summary>Sum of the frequencies of the codes before this one.</summary>
    public uint Start(int code)
    {
        var start = 0U;
        for (var before = 0; before < code; before++)
            start += frequencies[before];
        return start;
    }

    /// <summary>The code whose range has this number below 2^<see cref="Bits"/>, and where the range begins.</summary>
    public (int Code, uint Start) Find(uint slot)
    {
        var (code, start) = (0, 0U);
        while (slot - start >= frequencies[code])
            start += frequencies[code++];
        return (code, start);
    }
}
