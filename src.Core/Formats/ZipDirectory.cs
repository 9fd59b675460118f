using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.MemoryMappedFiles;
using System.Text;

namespace DQ.Core.Formats;

/// <summary>One file in a zip archive.</summary>
internal sealed record ZipFileEntry(string Name, bool Compressed, uint Checksum, long StoredBytes, long Bytes, long HeaderOffset);

/// <summary>
/// The files of a zip archive, memory-mapped so that a part of a stored (uncompressed) file is read without what is before it,
/// which the framework's reader cannot do.
/// </summary>
/// <remarks>Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 (records), 4.4 (fields) and 4.5.3 (Zip64).</remarks>
internal sealed class ZipDirectory : IDisposable
{
    private const uint LocalHeader = 0x04034b50;
    private const uint CentralHeader = 0x02014b50;
    private const uint EndRecord = 0x06054b50;
    private const uint Zip64Locator = 0x07064b50;
    private const uint Zip64EndRecord = 0x06064b50;
    private const int EndBytes = 22;
    private const int Zip64LocatorBytes = 20;
    private const int Zip64EndBytes = 56;
    private const int CentralBytes = 46;
    private const int LocalBytes = 30;
    private const int LargestDirectory = 1 << 26;

    private readonly MemoryMappedFile file;
    private readonly long length;
    private readonly Dictionary<string, ZipFileEntry> entries = new(StringComparer.Ordinal);
    private readonly HashSet<string> intact = new(StringComparer.Ordinal);

    /// <param name="file">The archive; the directory owns it from here on.</param>
    /// <param name="length">Bytes of the archive.</param>
    /// <exception cref="WeightsException">Not a well-formed archive.</exception>
    public ZipDirectory(MemoryMappedFile file, long length)
    {
        this.file = file;
        this.length = length;
        var (offset, bytes) = FindDirectory();
        if (bytes > LargestDirectory)
            throw new WeightsException($"expected a zip directory of at most {LargestDirectory} bytes, found {bytes}");
        ReadDirectory(ReadBytes(offset, (int)bytes, "its directory"));
    }

    public IEnumerable<ZipFileEntry> Entries => entries.Values;

    public ZipFileEntry? Find(string name) => entries.GetValueOrDefault(name);

    /// <summary>Opens bytes <paramref name="start"/> to <paramref name="start"/> + <paramref name="count"/> of a file in the archive.</summary>
    /// <exception cref="WeightsException">The file's checksum is not the recorded one; looked at when it is first opened.</exception>
    public Stream Open(ZipFileEntry entry, long start, long count)
    {
        if (intact.Add(entry.Name))
            Check(entry);
        return Part(entry, start, count);
    }

    /// <summary>The same without a look at the checksum, which takes reading all of the file.</summary>
    public Stream Part(ZipFileEntry entry, long start, long count)
    {
        var data = DataOffset(entry);
        if (count == 0)
            return Stream.Null;
        if (!entry.Compressed)
            return View(data + start, count);
        var inflated = new DeflateStream(View(data, entry.StoredBytes), CompressionMode.Decompress);
        var skipped = new byte[1 << 16];
        for (var rest = start; rest > 0; )
        {
            var read = inflated.Read(skipped, 0, (int)Math.Min(rest, skipped.Length));
            if (read == 0)
                throw new WeightsException(
                    $"{WeightsException.Quote(entry.Name)} in the archive: expected {entry.Bytes} bytes, found fewer"
                );
            rest -= read;
        }
        return inflated;
    }

    private void Check(ZipFileEntry entry)
    {
        var damage =
            $"{WeightsException.Quote(entry.Name)} in the archive is damaged: expected {entry.Bytes} bytes with checksum {entry.Checksum:x8}";
        try
        {
            using var bytes = Part(entry, 0, entry.Bytes);
            var (checksum, found) = Crc32.Of(bytes, entry.Bytes);
            if (found != entry.Bytes || checksum != entry.Checksum)
                throw new WeightsException($"{damage}, found {checksum:x8}");
        }
        catch (InvalidDataException error)
        {
            throw new WeightsException($"{damage}: {error.Message}", error);
        }
    }

    private long DataOffset(ZipFileEntry entry)
    {
        var header = ReadBytes(entry.HeaderOffset, LocalBytes, $"the header of {WeightsException.Quote(entry.Name)}");
        if (U32(header, 0) != LocalHeader)
            throw new WeightsException(
                $"expected a file header for {WeightsException.Quote(entry.Name)} at offset {entry.HeaderOffset} of the archive"
            );
        var data = entry.HeaderOffset + LocalBytes + U16(header, 26) + U16(header, 28);
        if (entry.StoredBytes > length - data)
            throw new WeightsException(
                $"expected {entry.StoredBytes} bytes of {WeightsException.Quote(entry.Name)} in the archive, which ends before"
            );
        return data;
    }

    private (long Offset, long Bytes) FindDirectory()
    {
        // the record is at the end, before a comment of at most 65535 bytes
        var tailBytes = (int)Math.Min(length, EndBytes + ushort.MaxValue);
        var tailStart = length - tailBytes;
        var tail = ReadBytes(tailStart, tailBytes, "its end");
        for (var at = tailBytes - EndBytes; at >= 0; at--)
        {
            if (U32(tail, at) != EndRecord || at + EndBytes + U16(tail, at + 20) != tailBytes)
                continue;
            long bytes = U32(tail, at + 12);
            long offset = U32(tail, at + 16);
            var zip64 = bytes == uint.MaxValue || offset == uint.MaxValue || U16(tail, at + 10) == ushort.MaxValue;
            return zip64 ? FindZip64Directory(tailStart + at) : (offset, bytes);
        }
        throw new WeightsException("expected a zip archive, found no directory at the end of the file");
    }

    private (long Offset, long Bytes) FindZip64Directory(long end)
    {
        var locator = ReadBytes(end - Zip64LocatorBytes, Zip64LocatorBytes, "its Zip64 locator");
        if (U32(locator, 0) != Zip64Locator)
            throw new WeightsException("expected a Zip64 locator before the end of the archive");
        var record = ReadBytes(I64(locator, 8), Zip64EndBytes, "its Zip64 end record");
        if (U32(record, 0) != Zip64EndRecord)
            throw new WeightsException("expected a Zip64 end record where its locator says");
        return (I64(record, 48), I64(record, 40));
    }

    private void ReadDirectory(ReadOnlySpan<byte> directory)
    {
        while (!directory.IsEmpty)
        {
            if (directory.Length < CentralBytes || U32(directory, 0) != CentralHeader)
                throw new WeightsException("expected a zip directory of file headers");
            var nameBytes = U16(directory, 28);
            var extraBytes = U16(directory, 30);
            var entryBytes = CentralBytes + nameBytes + extraBytes + U16(directory, 32);
            if (directory.Length < entryBytes)
                throw new WeightsException("expected complete file headers in the zip directory");
            var entry = ReadEntry(directory, Encoding.UTF8.GetString(directory.Slice(CentralBytes, nameBytes)), nameBytes, extraBytes);
            if (!entries.TryAdd(entry.Name, entry))
                throw new WeightsException($"expected each file once in the archive, found {WeightsException.Quote(entry.Name)} twice");
            directory = directory[entryBytes..];
        }
    }

    private ZipFileEntry ReadEntry(ReadOnlySpan<byte> header, string name, int nameBytes, int extraBytes)
    {
        var (flags, method) = (U16(header, 8), U16(header, 10));
        if ((flags & 1) != 0 || method is not (0 or 8))
            throw new WeightsException(
                $"expected files stored or deflated, not encrypted, found {WeightsException.Quote(name)} with method {method}, flags {flags:x}"
            );
        long stored = U32(header, 20);
        long bytes = U32(header, 24);
        long offset = U32(header, 42);
        var wide = Zip64Fields(header.Slice(CentralBytes + nameBytes, extraBytes));
        if (bytes == uint.MaxValue)
            bytes = NextWide(ref wide, name);
        if (stored == uint.MaxValue)
            stored = NextWide(ref wide, name);
        if (offset == uint.MaxValue)
            offset = NextWide(ref wide, name);
        if (stored < 0 || bytes < 0 || offset < 0 || stored > length || (method == 0 && stored != bytes))
            throw new WeightsException(
                $"expected sizes that fit the archive of {length} bytes for {WeightsException.Quote(name)}, found {bytes} stored as {stored}"
            );
        return new(name, method == 8, U32(header, 16), stored, bytes, offset);
    }

    private static ReadOnlySpan<byte> Zip64Fields(ReadOnlySpan<byte> extra)
    {
        while (extra.Length >= 4)
        {
            var (tag, bytes) = (U16(extra, 0), U16(extra, 2));
            if (bytes > extra.Length - 4)
                break;
            if (tag == 1)
                return extra.Slice(4, bytes);
            extra = extra[(4 + bytes)..];
        }
        return [];
    }

    private static long NextWide(ref ReadOnlySpan<byte> fields, string name)
    {
        if (fields.Length < 8)
            throw new WeightsException($"expected Zip64 sizes for {WeightsException.Quote(name)}");
        var value = I64(fields, 0);
        fields = fields[8..];
        return value;
    }

    private MemoryMappedViewStream View(long offset, long count) => file.CreateViewStream(offset, count, MemoryMappedFileAccess.Read);

    private byte[] ReadBytes(long offset, int count, string what)
    {
        if (offset < 0 || offset > length - count)
            throw new WeightsException($"expected a zip archive, found no room for {what} in its {length} bytes");
        var bytes = new byte[count];
        if (count == 0)
            return bytes;
        using var view = View(offset, count);
        view.ReadExactly(bytes);
        return bytes;
    }

    private static ushort U16(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);

    private static uint U32(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);

    private static long I64(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadInt64LittleEndian(bytes[at..]);

    public void Dispose() => file.Dispose();
}
