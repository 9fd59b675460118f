using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using DQ.Core.Formats;

namespace DQ.Core.Codes;

/// <summary>The codes of an npz archive as <see cref="NpzFile"/> writes it, or as numpy.savez writes the same arrays again.</summary>
public sealed partial class NpzCodes : IDisposable
{
    private const int LargestHeader = 1 << 28;

    private readonly string path;
    private readonly FileStream file;
    private readonly ZipArchive zip;

    private NpzCodes(string path, FileStream file)
    {
        (this.path, this.file) = (path, file);
        zip = new ZipArchive(file, ZipArchiveMode.Read, leaveOpen: true);
        Header = ReadHeader();
    }

    public CodesHeader Header { get; }

    /// <summary>Whether a file begins as a zip does.</summary>
    /// <exception cref="IOException">It can't be read.</exception>
    public static bool IsZip(string path)
    {
        using var file = RegularFile.OpenRead(path);
        return file.ReadByte() == 'P' && file.ReadByte() == 'K';
    }

    /// <exception cref="InvalidDataException">No such archive; names the file.</exception>
    public static NpzCodes Open(string path)
    {
        var file = RegularFile.OpenRead(path);
        try
        {
            return new(path, file);
        }
        catch (Exception error) when (IsDamage(error))
        {
            file.Dispose();
            throw Damaged(path, error);
        }
    }

    /// <summary>Each image's codes in turn, per level, bottom first, each (M, H, W) flat.</summary>
    /// <exception cref="InvalidDataException">Arrays of other shapes, an index beyond its codebook's codes, a damaged file; names it.</exception>
    public IEnumerable<int[][]> Read()
    {
        var levels = new List<Stream>();
        try
        {
            for (var level = 0; level < Header.Levels.Count; level++)
                levels.Add(Guarded(() => OpenLevel(level)));
            for (var image = 0; image < Header.Count; image++)
                yield return [.. levels.Select((stream, level) => Guarded(() => Next(stream, image, level)))];
        }
        finally
        {
            foreach (var stream in levels)
                stream.Dispose();
        }
    }

    public void Dispose()
    {
        zip.Dispose();
        file.Dispose();
    }

    private T Guarded<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception error) when (IsDamage(error))
        {
            throw Damaged(path, error);
        }
    }

    private static bool IsDamage(Exception error) =>
        error is InvalidDataException or WeightsException or EndOfStreamException or OverflowException;

    private static InvalidDataException Damaged(string path, Exception error) =>
        new($"{path}: expected codes of dq encode, {(error is EndOfStreamException ? "found arrays cut short" : error.Message)}", error);

    private Stream Entry(string name) => (zip.GetEntry(name) ?? throw new InvalidDataException($"found no {name}")).Open();

    private Stream OpenLevel(int level)
    {
        var stream = Entry($"codes_{level}.npy");
        var header = NpyHeader.Read(stream);
        var (height, width) = Header.Grid(0, level);
        long[] shape = [Header.Count, Header.Levels[level].Codebooks, height, width];
        if (header is { ElementType: "i4", IsBigEndian: false } && header.Shape.SequenceEqual(shape))
            return stream;
        throw new InvalidDataException(
            $"codes_{level}: expected little-endian i4 ({string.Join(", ", shape)}), found {header.ElementType} ({string.Join(", ", header.Shape)})"
        );
    }

    private int[] Next(Stream stream, int image, int level)
    {
        var indices = new int[Header.IndexCount(image, level)];
        stream.ReadExactly(MemoryMarshal.AsBytes(indices.AsSpan()));
        var codes = Header.Levels[level].CodeCount;
        return Array.Exists(indices, index => index < 0 || index >= codes)
            ? throw new InvalidDataException($"image {image}, level {level}: expected indices from 0 to {codes - 1}")
            : indices;
    }

    /// One text of UTF-32, which numpy types by its length in code points.
    private CodesHeader ReadHeader()
    {
        using var stream = Entry("metadata.npy");
        var start = new byte[10];
        stream.ReadExactly(start);
        var head = new byte[start[8] | (start[9] << 8)];
        stream.ReadExactly(head);
        var match = TextType().Match(Encoding.ASCII.GetString(head));
        if (!start.AsSpan(1, 5).SequenceEqual("NUMPY"u8) || !match.Success)
            throw new InvalidDataException("metadata: expected one text");
        var bytes = 4L * int.Parse(match.Groups["length"].Value, CultureInfo.InvariantCulture);
        if (bytes > LargestHeader)
            throw new InvalidDataException($"metadata: expected at most {LargestHeader} bytes, found {bytes}");
        var text = new byte[bytes];
        stream.ReadExactly(text);
        var header = CodesHeader.Parse(Encoding.UTF8.GetBytes(Encoding.UTF32.GetString(text)));
        return header.Sizes.Count == 1 || header.Sizes.Distinct().Count() <= 1
            ? header
            : throw new InvalidDataException("metadata: expected images of one size");
    }

    [GeneratedRegex(@"'descr': '<U(?<length>\d{1,9})', 'fortran_order': False, 'shape': \(\)")]
    private static partial Regex TextType();
}
