namespace DQ.Core.Coding;

/// <summary>
/// The probability of a bit, mixed from what several contexts know of it (after Mahoney's PAQ, "Adaptive weighing of context models",
/// 2005), in integers.
/// </summary>
internal sealed class BitMixer
{
    /// <summary>Bits of probabilities.</summary>
    public const int Bits = 16;

    private const int Half = 1 << (Bits - 1);
    private const int CountBits = 8;
    private const int WeightBits = 16;
    private const int RateBits = 12;
    private const int StretchBits = 8;
    private const int Largest = (12 << StretchBits) - 1;
    private const int Least = 24;

    // ln(p / (1 − p)) for p in steps of 2⁻¹², and back
    private static readonly short[] Squashed = [.. Enumerable.Range(-Largest, 2 * Largest + 1).Select(Squash)];
    private static readonly short[] Stretched = Invert();
    private static readonly int[] Shares = [.. Enumerable.Range(0, 1 << CountBits).Select(count => (1 << 17) / (2 * count + 3))];

    private readonly int[] _slots;
    private readonly int _mask;
    private readonly int[] _weights;
    private readonly int _inputs;
    private readonly int[] _places;
    private readonly int[] _stretches;
    private int _set;
    private int _probability;

    /// <param name="inputs">Contexts that know something of each bit.</param>
    /// <param name="sets">Weights are learned for each of so many kinds of bits.</param>
    /// <param name="slotBits">The contexts share 2^bits slots.</param>
    public BitMixer(int inputs, int sets, int slotBits)
    {
        _inputs = inputs;
        _slots = new int[1 << slotBits];
        Array.Fill(_slots, Half << CountBits);
        _mask = (1 << slotBits) - 1;
        _weights = new int[inputs * sets];
        Array.Fill(_weights, (1 << WeightBits) * 3 / 10);
        _places = new int[inputs];
        _stretches = new int[inputs];
    }

    /// <summary>Names the contexts of the next bit, by hashes.</summary>
    public void Context(int input, uint hash) => _places[input] = (int)((hash * 0x9E3779B1 ^ (hash >> 15)) & _mask);

    /// <summary>The frequency of a one among 2¹⁶, never 0 nor all of them.</summary>
    /// <param name="set">The kind of bit.</param>
    public uint Ones(int set)
    {
        _set = set * _inputs;
        long sum = 0;
        for (var i = 0; i < _inputs; i++)
        {
            _stretches[i] = Stretched[_slots[_places[i]] >> (CountBits + 4)];
            sum += (long)_weights[_set + i] * _stretches[i];
        }
        var at = (int)Math.Clamp(sum >> WeightBits, -Largest, Largest);
        _probability = Math.Clamp((int)(ushort)Squashed[at + Largest], Least, (1 << Bits) - Least);
        return (uint)_probability;
    }

    /// <summary>Learns what the bit was.</summary>
    public void Learn(bool one, int mostCount)
    {
        var error = ((one ? 1 << Bits : 0) - _probability) >> 2;
        for (var i = 0; i < _inputs; i++)
        {
            _weights[_set + i] += (_stretches[i] * error + (1 << (RateBits - 1))) >> RateBits;
            ref var slot = ref _slots[_places[i]];
            var (probability, count) = (slot >> CountBits, slot & ((1 << CountBits) - 1));
            probability += (int)(((long)((one ? (1 << Bits) - 1 : 0) - probability) * Shares[count]) >> 16);
            slot = (probability << CountBits) | Math.Min(count + 1, mostCount);
        }
    }

    private static short Squash(int stretched)
    {
        // logistic has 16 bits behind the point of its argument
        var value = IntegerTables.Logistic(stretched << (16 - StretchBits)) >> (IntegerTables.UnitBits - Bits);
        return (short)(ushort)Math.Clamp(value, 1, (1 << Bits) - 1);
    }

    private static short[] Invert()
    {
        var result = new short[1 << 12];
        var at = 0;
        for (var i = 0; i < result.Length; i++)
        {
            while (at < Squashed.Length - 1 && (ushort)Squashed[at] < (i << 4) + 8)
                at++;
            result[i] = (short)(at - Largest);
        }
        return result;
    }
}
