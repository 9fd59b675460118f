using System.Buffers.Binary;

namespace DQ.Core.Coding;

/// <summary>Writes numbers in as many groups of 7 bits as they need, lowest first; the top bit of a byte says that more follow.</summary>
internal sealed class IndexWriter
{
    private readonly MemoryStream _bytes = new();

    public void Number(long value)
    {
        var rest = (ulong)value;
        for (; rest >= 128; rest >>= 7)
            _bytes.WriteByte((byte)(rest | 128));
        _bytes.WriteByte((byte)rest);
    }

    public void Raw(ReadOnlySpan<byte> bytes) => _bytes.Write(bytes);

    /// <summary>A length, then as many bytes.</summary>
    public void Bytes(ReadOnlySpan<byte> bytes)
    {
        Number(bytes.Length);
        Raw(bytes);
    }

    public void Checksum(uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Raw(bytes);
    }

    public byte[] ToArray() => _bytes.ToArray();
}
