using System.Buffers.Binary;
using System.Text;

namespace DQ.Core.Codes;

/// <summary>
/// A codes file, open for reading: <c>DQCODES1</c>, the header's length (uint64, little-endian), the header as JSON, then the
/// images' codes, packed. docs/codes-format.md has the details.
/// </summary>
public sealed class CodesFile : IDisposable
{
    private const int PreambleBytes = 16;
    private const int LargestHeader = 1 << 28;

    private readonly FileStream file;
    private readonly string path;
    private readonly Func<int, long> begin;

    private CodesFile(FileStream file, string path, CodesHeader header, Func<int, long> begin)
    {
        (this.file, this.path, Header, this.begin) = (file, path, header, begin);
    }

    private static ReadOnlySpan<byte> Magic => "DQCODES1"u8;

    private static ReadOnlySpan<byte> CodedMagic => "DQCODES2"u8;

    public CodesHeader Header { get; }

    /// <summary>Reads the header and checks the file's length against it.</summary>
    /// <exception cref="InvalidDataException">The file is not a readable codes file, is damaged, or is truncated; the message names
    /// it.</exception>
    public static CodesFile Open(string path)
    {
        var file = OpenStream(path);
        try
        {
            var header = ReadHeader(file, isCoded: false, out var dataStart);
            return new(file, path, header, Begins(header, dataStart, file.Length));
        }
        catch (Exception error) when (error is InvalidDataException or OverflowException)
        {
            file.Dispose();
            throw new InvalidDataException(
                $"{path}: {(error is OverflowException ? "header: more codes than can be counted" : error.Message)}",
                error
            );
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>An image's code indices per level, bottom first, each a flat array of (M, H, W).</summary>
    /// <exception cref="InvalidDataException">An index is too large for its codebook; the message names the file and the
    /// position.</exception>
    public int[][] Read(int image)
    {
        file.Position = begin(image);
        var levels = new int[Header.Levels.Count][];
        for (var level = 0; level < levels.Length; level++)
        {
            var (codes, _, bits, _) = Header.Levels[level];
            var count = Header.IndexCount(image, level);
            var packed = new byte[PackedIndices.Bytes(count, bits)];
            file.ReadExactly(packed);
            levels[level] = PackedIndices.Unpack(packed, count, bits);
            if (levels[level].Any(index => index >= codes))
                throw new InvalidDataException(
                    $"{path}: image {image}, level {level}: expected indices below {codes}, got {levels[level].Max()}"
                );
        }
        return levels;
    }

    /// <summary>Writes header and codes; the file is written completely or not at all.</summary>
    /// <param name="path">An existing file is replaced.</param>
    /// <param name="header">Header for the same number of images.</param>
    /// <param name="images">For each image the result of <see cref="Read"/>; enumerated one at a time.</param>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    public static void Write(string path, CodesHeader header, IEnumerable<int[][]> images) =>
        AtomicFile.Write(
            path,
            stream =>
            {
                WriteHeader(stream, header);
                var image = 0;
                foreach (var levels in images)
                {
                    for (var level = 0; level < levels.Length; level++)
                    {
                        if (levels[level].Length != header.IndexCount(image, level))
                            throw new ArgumentException(
                                $"image {image}, level {level}: expected {header.IndexCount(image, level)} indices, got {levels[level].Length}",
                                nameof(images)
                            );
                        stream.Write(PackedIndices.Pack(levels[level], header.Levels[level].Bits));
                    }
                    image++;
                }
                if (image != header.Count)
                    throw new ArgumentException($"expected {header.Count} images, got {image}", nameof(images));
            }
        );

    public void Dispose() => file.Dispose();

    /// <summary>Whether a file begins like one whose codes are coded under a prior.</summary>
    public static bool IsCoded(string path)
    {
        using var file = OpenStream(path);
        Span<byte> magic = stackalloc byte[CodedMagic.Length];
        return file.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false) == magic.Length && magic.SequenceEqual(CodedMagic);
    }

    /// <summary>Bytes of a file before its first code.</summary>
    public static long HeaderBytes(CodesHeader header) => PreambleBytes + header.ToJson().Length;

    /// <summary>Writes the beginning of a file, up to the header; a header with a prior makes it one of coded codes.</summary>
    internal static void WriteHeader(Stream stream, CodesHeader header)
    {
        var json = header.ToJson();
        Span<byte> length = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        stream.Write(header.Prior is null ? Magic : CodedMagic);
        stream.Write(length);
        stream.Write(json);
    }

    internal static FileStream OpenStream(string path)
    {
        try
        {
            return RegularFile.OpenRead(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException($"{path}: expected a readable codes file: {error.Message}", error);
        }
    }

    /// <summary>Reads the beginning of a file, up to the header.</summary>
    /// <exception cref="InvalidDataException">The file does not begin like one; the message does not name it.</exception>
    internal static CodesHeader ReadHeader(FileStream file, bool isCoded, out long dataStart)
    {
        Span<byte> preamble = stackalloc byte[PreambleBytes];
        var read = file.ReadAtLeast(preamble, PreambleBytes, throwOnEndOfStream: false);
        var magic = isCoded ? CodedMagic : Magic;
        if (read < PreambleBytes || !preamble.StartsWith(magic))
            throw new InvalidDataException($"expected a codes file, which begins with {Encoding.ASCII.GetString(magic)}");
        var length = BinaryPrimitives.ReadInt64LittleEndian(preamble[8..]);
        if (length < 2 || length > Math.Min(LargestHeader, file.Length - PreambleBytes))
            throw new InvalidDataException($"cut short or damaged: its header should have {length} bytes");
        var json = new byte[length];
        file.ReadExactly(json);
        dataStart = PreambleBytes + length;
        var header = CodesHeader.Parse(json);
        return header.Prior is null != isCoded
            ? header
            : throw new InvalidDataException($"header: prior: expected {(isCoded ? "one" : "none")} in a file of this kind");
    }

    /// Offset of an image's codes.
    private static Func<int, long> Begins(CodesHeader header, long dataStart, long length)
    {
        var begins = new long[header.Sizes.Count];
        var end = dataStart;
        for (var image = 0; image < begins.Length; image++)
        {
            begins[image] = end;
            end = checked(end + header.Bytes(image));
        }
        var each = end - dataStart; // if all images have one size
        if (header.Sizes.Count == 1)
            end = checked(dataStart + header.Count * each);
        if (end != length)
            throw new InvalidDataException($"cut short or damaged: expected {end} bytes, found {length}");
        return header.Sizes.Count == 1 ? image => dataStart + image * each : image => begins[image];
    }
}
