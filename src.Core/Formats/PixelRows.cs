namespace DQ.Core.Formats;

/// <summary>The bytes of an array of pixels, wherever they are stored. Safe to read from several threads.</summary>
internal abstract class PixelRows : IDisposable
{
    /// <summary>Bytes from <paramref name="start"/> on.</summary>
    public abstract void Read(long start, Span<byte> bytes);

    public abstract void Dispose();
}

/// <summary>Bytes in a memory-mapped file.</summary>
internal sealed class MappedRows(IDisposable file, ReadOnlyMemory<byte> pixels) : PixelRows
{
    public override void Read(long start, Span<byte> bytes) => pixels.Span.Slice((int)start, bytes.Length).CopyTo(bytes);

    public override void Dispose() => file.Dispose();
}

/// <summary>Bytes in a zip; a compressed entry is unpacked to memory.</summary>
internal sealed class ZippedRows(ZipDirectory zip, ZipFileEntry entry, int offset, InflatedFiles inflated) : PixelRows
{
    public override void Read(long start, Span<byte> bytes)
    {
        if (entry.Compressed)
            inflated.Of(entry, Inflate).AsSpan((int)(offset + start), bytes.Length).CopyTo(bytes);
        else
            lock (zip)
            {
                using var part = zip.Open(entry, offset + start, bytes.Length);
                part.ReadExactly(bytes);
            }
    }

    public override void Dispose() => zip.Dispose();

    private byte[] Inflate()
    {
        lock (zip)
        {
            var bytes = new byte[entry.Bytes];
            using var content = zip.Open(entry, 0, bytes.Length);
            content.ReadExactly(bytes);
            return bytes;
        }
    }
}
