using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.MemoryMappedFiles;
using System.Text;

namespace DQ.Core.Formats;

/// <summary>One file or folder in a zip archive.</summary>
/// <param name="Name">Decoded, but otherwise as stored. It may be absolute or lead out of a folder.</param>
/// <param name="Compressed">Whether it is deflated or stored.</param>
/// <param name="Checksum">CRC-32 of the content.</param>
/// <param name="StoredBytes">Bytes in the archive.</param>
/// <param name="Bytes">Bytes of the content, as claimed. If there is no problem, they are not more than the stored bytes can hold.</param>
/// <param name="HeaderOffset">Offset of its header.</param>
/// <param name="Encrypted">Whether it needs a password.</param>
/// <param name="Problem">The reason why it can't be read; null if it can.</param>
public sealed record ZipFileEntry(
    string Name,
    bool Compressed,
    uint Checksum,
    long StoredBytes,
    long Bytes,
    long HeaderOffset,
    bool Encrypted = false,
    string? Problem = null
);

/// <summary>
/// The files of a zip archive, memory-mapped, so that a part of a stored (uncompressed) file can be read without the bytes before it. The
/// framework's reader cannot do this.
/// </summary>
/// <remarks>
/// Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 (records), 4.4 (fields), 4.5.3 (Zip64), 4.6.9 (Unicode path) and appendix D
/// (names: UTF-8 if the flag is set, else code page 437).
/// </remarks>
public sealed class ZipDirectory : IDisposable
{
    /// <summary>Deflate makes at most this many bytes of one.</summary>
    private const long MostInflation = 1032;

    private const int EncryptedFlag = 1;
    private const int Utf8Flag = 1 << 11;
    private const int Zip64Field = 1;
    private const int UnicodePathField = 0x7075;
    private const int UnixHost = 3;
    private const uint UnixTypeBits = 0xF000;
    private const uint UnixLink = 0xA000;

    private static readonly Encoding CodePage437 = CodePagesEncodingProvider.Instance.GetEncoding(437)!;

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
    private readonly List<ZipFileEntry> entries = [];
    private readonly Dictionary<string, ZipFileEntry> byName = new(StringComparer.Ordinal);
    private readonly HashSet<string> intact = new(StringComparer.Ordinal);

    /// <param name="file">The archive, which the directory owns.</param>
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

    /// <summary>All entries in the directory's order; names may repeat.</summary>
    public IReadOnlyList<ZipFileEntry> Entries => entries;

    /// <summary>The first entry with this name.</summary>
    public ZipFileEntry? Find(string name) => byName.GetValueOrDefault(name);

    /// <summary>Opens an archive whose entries the caller checks one by one. Use it with <see cref="ReadAll"/>, not with
    /// <see cref="Open"/>.</summary>
    /// <exception cref="WeightsException">Not a well-formed archive; the message lacks the file's name.</exception>
    /// <exception cref="IOException">It can't be read.</exception>
    public static ZipDirectory OpenRead(string path)
    {
        FileStream? stream = RegularFile.OpenRead(path);
        MemoryMappedFile? mapped = null;
        try
        {
            var length = stream.Length;
            if (length < EndBytes)
            {
                var start = new byte[length];
                stream.ReadExactly(start);
                throw new WeightsException($"expected a zip archive, found {FileKind.Describe(start)} of {length} bytes");
            }
            mapped = MemoryMappedFile.CreateFromFile(
                stream,
                null,
                0,
                MemoryMappedFileAccess.Read,
                HandleInheritability.None,
                leaveOpen: false
            );
            stream = null; // owned by the mapping from here on
            var directory = new ZipDirectory(mapped, length);
            mapped = null;
            return directory;
        }
        finally
        {
            mapped?.Dispose();
            stream?.Dispose();
        }
    }

    /// <summary>This archive, after a check that every entry can be read and has a unique name.</summary>
    /// <exception cref="WeightsException">An entry can't be read, or two have the same name.</exception>
    public ZipDirectory Sound()
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            if (entry.Problem is { } problem)
                throw new WeightsException($"{WeightsException.Quote(entry.Name)} in the archive: {problem}");
            if (!names.Add(entry.Name))
                throw new WeightsException($"expected each file once in the archive, found {WeightsException.Quote(entry.Name)} twice");
        }
        return this;
    }

    /// <summary>A file's whole content, checked. Safe to call from several threads.</summary>
    /// <param name="entry">An entry without a problem.</param>
    /// <param name="most">Maximum bytes of the content.</param>
    /// <exception cref="InvalidDataException">The entry is damaged or too large; the message lacks the file's name.</exception>
    public byte[] ReadAll(ZipFileEntry entry, long most)
    {
        if (entry.Problem is { } problem)
            throw new InvalidDataException(problem);
        if (entry.Bytes > Math.Min(most, Array.MaxLength))
            throw new InvalidDataException($"expected at most {Math.Min(most, Array.MaxLength)} bytes, got {entry.Bytes}");
        var content = new byte[entry.Bytes];
        try
        {
            if (entry.Bytes > 0)
            {
                using var stream = Part(entry, 0, entry.Bytes);
                stream.ReadExactly(content);
            }
        }
        catch (Exception error) when (error is WeightsException or EndOfStreamException or InvalidDataException)
        {
            throw new InvalidDataException($"damaged in the zip: {error.Message}", error);
        }
        if (Crc32.Of(content) is var checksum && checksum != entry.Checksum)
            throw new InvalidDataException(
                $"damaged in the zip: expected {entry.Bytes} bytes with checksum {entry.Checksum:x8}, got {checksum:x8}"
            );
        return content;
    }

    /// <summary>Opens bytes <paramref name="start"/> to <paramref name="start"/> + <paramref name="count"/> of a file in the
    /// archive.</summary>
    /// <exception cref="WeightsException">The file's checksum differs from the recorded one; it is checked when the file is first
    /// opened.</exception>
    public Stream Open(ZipFileEntry entry, long start, long count)
    {
        if (intact.Add(entry.Name))
            Check(entry);
        return Part(entry, start, count);
    }

    /// <summary>The same without a check of the checksum, which requires reading the whole file.</summary>
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
            var (checksum, bytesRead) = Crc32.Of(bytes, entry.Bytes);
            if (bytesRead != entry.Bytes || checksum != entry.Checksum)
                throw new WeightsException($"{damage}, found {checksum:x8}");
        }
        catch (InvalidDataException error)
        {
            throw new WeightsException($"{damage}: {error.Message}", error);
        }
    }

    private long DataOffset(ZipFileEntry entry)
    {
        if (entry.Problem is { } problem)
            throw new WeightsException($"{WeightsException.Quote(entry.Name)} in the archive: {problem}");
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
            if (U16(tail, at + 4) is not (0 or ushort.MaxValue))
                throw new WeightsException("expected a zip archive in one piece, found the last of several");
            long bytes = U32(tail, at + 12);
            long offset = U32(tail, at + 16);
            var zip64 = bytes == uint.MaxValue || offset == uint.MaxValue || U16(tail, at + 10) == ushort.MaxValue;
            return zip64 ? FindZip64Directory(tailStart + at) : (offset, bytes);
        }
        using var start = View(0, Math.Min(length, FileKind.Looked));
        var beginning = new byte[Math.Min(length, FileKind.Looked)];
        start.ReadExactly(beginning);
        throw new WeightsException(
            beginning.AsSpan().StartsWith("PK"u8)
                ? "not a whole zip archive: expected its directory at the end of the file, found none"
                : $"expected a zip archive, found {FileKind.Describe(beginning)}"
        );
    }

    private (long Offset, long Bytes) FindZip64Directory(long end)
    {
        var locator = ReadBytes(end - Zip64LocatorBytes, Zip64LocatorBytes, "its Zip64 locator");
        if (U32(locator, 0) != Zip64Locator)
            throw new WeightsException("expected a Zip64 locator before the end of the archive");
        var record = ReadBytes(I64(locator, 8), Zip64EndBytes, "its Zip64 end record");
        if (U32(record, 0) != Zip64EndRecord)
            throw new WeightsException("expected a Zip64 end record at the offset in its locator");
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
            var entry = ReadEntry(directory, nameBytes, extraBytes);
            entries.Add(entry);
            byName.TryAdd(entry.Name, entry);
            directory = directory[entryBytes..];
        }
    }

    private ZipFileEntry ReadEntry(ReadOnlySpan<byte> header, int nameBytes, int extraBytes)
    {
        var (flags, method) = (U16(header, 8), U16(header, 10));
        var extra = header.Slice(CentralBytes + nameBytes, extraBytes);
        var name = Name(header.Slice(CentralBytes, nameBytes), extra, flags);
        long stored = U32(header, 20);
        long bytes = U32(header, 24);
        long offset = U32(header, 42);
        var wide = Field(extra, Zip64Field);
        var complete = Widen(ref bytes, ref wide) & Widen(ref stored, ref wide) & Widen(ref offset, ref wide);
        var encrypted = (flags & EncryptedFlag) != 0;
        var isLink = header[5] == UnixHost && (U32(header, 38) >> 16 & UnixTypeBits) == UnixLink;
        var problem =
            encrypted ? "encrypted: expected files without a password"
            : method is not (0 or 8) ? $"compressed by method {method} ({MethodName(method)}): expected files stored or deflated"
            : isLink ? "a link: expected a file"
            : !complete ? "expected Zip64 sizes, found none"
            : stored < 0 || bytes < 0 || offset < 0 || stored > length
                ? $"expected sizes that fit the archive of {length} bytes, found {bytes} stored as {stored}"
            : method == 0 && stored != bytes ? $"claims {bytes} bytes, {stored} are stored"
            : bytes > MostInflation * stored ? $"claims {bytes} bytes, more than its {stored} stored bytes can hold"
            : null;
        return new(name, method == 8, U32(header, 16), stored, bytes, offset, encrypted, problem);
    }

    private static string MethodName(int method) =>
        method switch
        {
            9 => "Deflate64",
            12 => "bzip2",
            14 => "LZMA",
            93 => "zstandard",
            95 => "xz",
            99 => "AES",
            _ => "unknown",
        };

    /// A Unicode path is valid only if its checksum belongs to the stored name.
    private static string Name(ReadOnlySpan<byte> name, ReadOnlySpan<byte> extra, int flags)
    {
        var path = Field(extra, UnicodePathField);
        if (path.Length > 5 && path[0] == 1 && U32(path, 1) == Crc32.Of(name))
            return Encoding.UTF8.GetString(path[5..]);
        return ((flags & Utf8Flag) != 0 ? Encoding.UTF8 : CodePage437).GetString(name);
    }

    private static ReadOnlySpan<byte> Field(ReadOnlySpan<byte> extra, int wanted)
    {
        while (extra.Length >= 4)
        {
            var (tag, bytes) = (U16(extra, 0), U16(extra, 2));
            if (bytes > extra.Length - 4)
                break;
            if (tag == wanted)
                return extra.Slice(4, bytes);
            extra = extra[(4 + bytes)..];
        }
        return [];
    }

    private static bool Widen(ref long value, ref ReadOnlySpan<byte> fields)
    {
        if (value != uint.MaxValue)
            return true;
        if (fields.Length < 8)
            return false;
        value = I64(fields, 0);
        fields = fields[8..];
        return true;
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
