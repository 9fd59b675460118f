namespace DQ.Core.Coding;

/// <summary>Codes bits one way or the other.</summary>
internal interface IBits
{
    /// <param name="bit">The bit, where it is known; the same is returned.</param>
    /// <param name="ones">The frequency of a one among 2¹⁶.</param>
    bool Code(bool bit, uint ones);

    /// <summary>Whether bits come from a stream, so that those passed are not looked at.</summary>
    static abstract bool IsDecoding { get; }
}

/// <summary>Notes bits with their probabilities; the coder needs the last first.</summary>
internal struct BitRecorder() : IBits
{
    private readonly List<(ushort Ones, bool Bit)> _bits = [];

    public static bool IsDecoding => false;

    public readonly bool Code(bool bit, uint ones)
    {
        _bits.Add(((ushort)ones, bit));
        return bit;
    }

    public readonly byte[] Finish()
    {
        var encoder = new RansEncoder();
        for (var i = _bits.Count - 1; i >= 0; i--)
        {
            uint ones = _bits[i].Ones;
            if (_bits[i].Bit)
                encoder.Put(0, ones, BitMixer.Bits);
            else
                encoder.Put(ones, (1u << BitMixer.Bits) - ones, BitMixer.Bits);
        }
        return encoder.Finish();
    }
}

/// <summary>Reads bits.</summary>
internal ref struct BitPlayer(RansDecoder decoder) : IBits
{
    private RansDecoder _decoder = decoder;

    public static bool IsDecoding => true;

    public readonly bool IsAtEnd => _decoder.IsAtEnd;

    public bool Code(bool bit, uint ones)
    {
        var one = _decoder.Slot(BitMixer.Bits) < ones;
        if (one)
            _decoder.Advance(0, ones, BitMixer.Bits);
        else
            _decoder.Advance(ones, (1u << BitMixer.Bits) - ones, BitMixer.Bits);
        return one;
    }
}
