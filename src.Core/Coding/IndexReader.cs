using System.Buffers.Binary;

namespace DQ.Core.Coding;

/// <summary>Reads what <see cref="IndexWriter"/> wrote, from anyone.</summary>
internal ref struct IndexReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;

    /// <exception cref="InvalidDataException">Not a number, or out of range.</exception>
    public int Number(int least, int most)
    {
        var value = Long();
        return value >= least && value <= most
            ? (int)value
            : throw new InvalidDataException($"expected a number from {least} to {most}, got {value}");
    }

    /// <summary>A number of things that follow, each of a byte at least.</summary>
    public int Count() => Number(0, _rest.Length);

    public long Long()
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = Raw(1)[0];
            value |= (ulong)(part & 127) << shift;
            if (part < 128)
                return (long)value;
        }
        throw new InvalidDataException("a number of more than 64 bits");
    }

    public ReadOnlySpan<byte> Raw(int count)
    {
        if (count > _rest.Length)
            throw new InvalidDataException("ends too early");
        var raw = _rest[..count];
        _rest = _rest[count..];
        return raw;
    }

    public ReadOnlySpan<byte> Bytes() => Raw(Count());

    public uint Checksum() => BinaryPrimitives.ReadUInt32LittleEndian(Raw(sizeof(uint)));

    public readonly void End()
    {
        if (!_rest.IsEmpty)
            throw new InvalidDataException($"{_rest.Length} bytes too many");
    }
}
