using System.Buffers.Binary;

namespace DQ.Core.Coding;

/// <summary>
/// The range variant of asymmetric numeral systems (Duda 2013), with a state of 64 bits, of which 32 at a time go to the stream, and
/// frequencies of up to 31 bits. Symbols are coded last to first.
/// </summary>
internal sealed class RansEncoder
{
    /// <summary>The least state.</summary>
    public const ulong Least = 1UL << 31;

    private const int WordBytes = 4;

    private byte[] _bytes = new byte[1 << 12];
    private int _begin;
    private ulong _state = Least;

    public RansEncoder() => _begin = _bytes.Length;

    /// <summary>Codes what is to be decoded before everything coded so far.</summary>
    /// <param name="start">Sum of the frequencies of the symbols before it.</param>
    /// <param name="frequency">At least 1.</param>
    /// <param name="bits">All frequencies sum to 2^bits.</param>
    public void Put(uint start, uint frequency, int bits)
    {
        if (_state >= (ulong)frequency << (63 - bits))
        {
            if (_begin < WordBytes)
                Grow();
            _begin -= WordBytes;
            BinaryPrimitives.WriteUInt32LittleEndian(_bytes.AsSpan(_begin), (uint)_state);
            _state >>= 32;
        }
        var (quotient, rest) = Math.DivRem(_state, frequency);
        _state = (quotient << bits) + rest + start;
    }

    /// <summary>The stream: the state, then words of 4 bytes, all little-endian.</summary>
    public byte[] Finish()
    {
        var result = new byte[sizeof(ulong) + _bytes.Length - _begin];
        BinaryPrimitives.WriteUInt64LittleEndian(result, _state);
        _bytes.AsSpan(_begin).CopyTo(result.AsSpan(sizeof(ulong)));
        return result;
    }

    private void Grow()
    {
        var grown = new byte[2 * _bytes.Length];
        var begin = _begin + _bytes.Length;
        _bytes.AsSpan(_begin).CopyTo(grown.AsSpan(begin));
        (_bytes, _begin) = (grown, begin);
    }
}
