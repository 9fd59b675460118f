using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;

namespace DQ.Core.Codes;

/// <summary>
/// Codes for NumPy: a zip of <c>codes_0.npy</c> … (int32, (B, M, H, W), bottom level first) and <c>metadata.npy</c>, the codes
/// file's header as JSON text. Source of the format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
/// </summary>
public static class NpzFile
{
    // the earliest time in a zip file, so that the same codes give the same bytes
    private static readonly DateTimeOffset Written = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Reads the codes once per level, one image at a time. The file is written completely or not at all.</summary>
    /// <exception cref="InvalidDataException">The images have several sizes, so that no single array can hold them, or the codes are
    /// damaged.</exception>
    /// <exception cref="IOException">The file can't be written; an existing file is unchanged.</exception>
    public static void Write(string path, CodesFile codes)
    {
        var header = codes.Header;
        if (header.Sizes.Distinct().Count() > 1)
            throw new InvalidDataException(
                $"{path}: arrays need images of one size, got {header.Sizes.Distinct().Count()} sizes; the format dqc can hold images of several sizes"
            );
        AtomicFile.Write(
            path,
            stream =>
            {
                using var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true);
                for (var level = 0; level < header.Levels.Count; level++)
                {
                    var (height, width) = header.Grid(0, level);
                    using var array = Entry(zip, $"codes_{level}.npy");
                    Begin(array, "<i4", [header.Count, header.Levels[level].Codebooks, height, width]);
                    for (var image = 0; image < header.Count; image++)
                        array.Write(MemoryMarshal.AsBytes<int>(codes.Read(image)[level]));
                }
                var text = Encoding.UTF8.GetString(header.ToJson());
                using var metadata = Entry(zip, "metadata.npy");
                // one text of UTF-32, its length in code points
                var points = Encoding.UTF32.GetBytes(text);
                Begin(metadata, string.Create(CultureInfo.InvariantCulture, $"<U{points.Length / 4}"), []);
                metadata.Write(points);
            }
        );
    }

    private static Stream Entry(ZipArchive zip, string name)
    {
        var entry = zip.CreateEntry(name, CompressionLevel.Fastest);
        entry.LastWriteTime = Written;
        return entry.Open();
    }

    /// Magic, version 1.0, length, and a Python dictionary padded so that the values begin at a multiple of 64 bytes.
    private static void Begin(Stream array, string type, int[] shape)
    {
        const int preamble = 10;
        var sizes = string.Concat(shape.Select(size => string.Create(CultureInfo.InvariantCulture, $"{size}, ")));
        var text = $"{{'descr': '{type}', 'fortran_order': False, 'shape': ({sizes.TrimEnd()}), }}";
        var padded = (preamble + text.Length + 1 + 63) / 64 * 64 - preamble;
        array.Write([0x93, .. "NUMPY"u8, 1, 0, (byte)padded, (byte)(padded >> 8)]);
        array.Write(Encoding.ASCII.GetBytes(text.PadRight(padded - 1) + '\n'));
    }
}
