using System.Buffers.Binary;

namespace DQ.Core.Coding;

/// <summary>Reads what <see cref="RansEncoder"/> wrote, first symbol first.</summary>
internal ref struct RansDecoder
{
    private const int WordBytes = 4;

    private readonly ReadOnlySpan<byte> _bytes;
    private int _next = sizeof(ulong);
    private ulong _state;

    /// <exception cref="InvalidDataException">The stream is too short for a state, or it is no state.</exception>
    public RansDecoder(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < sizeof(ulong))
            throw new InvalidDataException($"a stream of {bytes.Length} bytes: expected at least {sizeof(ulong)}");
        _bytes = bytes;
        _state = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        if (_state is < RansEncoder.Least or >= RansEncoder.Least << 32)
            throw new InvalidDataException("a stream begins with a state out of range");
    }

    /// <summary>The number below 2^bits by which the next symbol is found: it lies from its start on, below start + frequency.</summary>
    public readonly uint Slot(int bits) => (uint)_state & ((1u << bits) - 1);

    /// <summary>Goes on to the symbol after the one found.</summary>
    /// <exception cref="InvalidDataException">The stream ends early.</exception>
    public void Advance(uint start, uint frequency, int bits)
    {
        _state = frequency * (_state >> bits) + ((uint)_state & ((1u << bits) - 1)) - start;
        if (_state >= RansEncoder.Least)
            return;
        if (_bytes.Length - _next < WordBytes)
            throw new InvalidDataException("a stream ends before its last symbol");
        _state = (_state << 32) | BinaryPrimitives.ReadUInt32LittleEndian(_bytes[_next..]);
        _next += WordBytes;
    }

    /// <summary>Whether everything was read, and the state is the encoder's first: otherwise something else was decoded than was coded.</summary>
    public readonly bool IsAtEnd => _next == _bytes.Length && _state == RansEncoder.Least;
}
