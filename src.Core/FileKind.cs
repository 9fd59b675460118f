using System.Text;

namespace DQ.Core;

/// <summary>Recognizes the kind of a file by its first bytes, for messages about unexpected files.</summary>
public static class FileKind
{
    /// <summary>Number of bytes needed from the beginning.</summary>
    public const int Looked = 1024;

    private static readonly (byte[] Start, string What)[] Signatures =
    [
        ([0x1f, 0x8b], "a gzip file"),
        ([.. "PK\x03\x04"u8], "a zip archive"),
        ([.. "PK\x05\x06"u8], "an empty zip archive"),
        ([0x89, .. "HDF\r\n\x1a\n"u8], "an HDF5 file"),
        ([.. "MATLAB 7.3 "u8], "a MATLAB 7.3 (HDF5) file"),
        ([.. "MATLAB 5.0 "u8], "a MATLAB file of level 5"),
        ([0x93, .. "NUMPY"u8], "a NumPy array"),
        ([0x89, .. "PNG"u8], "a PNG image"),
        ([0xff, 0xd8, 0xff], "a JPEG image"),
        ([.. "GIF8"u8], "a GIF image"),
        ([.. "BM"u8], "a BMP image"),
        ([.. "II*\0"u8], "a TIFF image"),
        ([.. "MM\0*"u8], "a TIFF image"),
        ([.. "%PDF"u8], "a PDF file"),
        ([.. "BZh"u8], "a bzip2 file"),
        ([0xfd, .. "7zXZ"u8], "an xz file"),
        ([.. "7z"u8, 0xbc, 0xaf], "a 7z archive"),
        ([.. "Rar!"u8], "a RAR archive"),
        ([0x28, 0xb5, 0x2f, 0xfd], "a zstandard file"),
        ([.. "DQCODES1"u8], "a file of codes"),
        ([.. "DQLOSSL1"u8], "a lossless file"),
        ([.. "DQFROZN1"u8], "a frozen model"),
        ([0x80, 0x02], "a Python pickle"),
        ([0x80, 0x03], "a Python pickle"),
        ([0x80, 0x04], "a Python pickle"),
        ([0x80, 0x05], "a Python pickle"),
        ([0, 0, 8, 1], "a plain idx file of labels"),
        ([0, 0, 8, 3], "a plain idx file of images"),
    ];

    /// <summary>The kind of a file on disk; see the other overload.</summary>
    /// <exception cref="IOException">The file can't be read.</exception>
    public static string Describe(string path)
    {
        using var file = RegularFile.OpenRead(path);
        var start = new byte[Looked];
        return Describe(start.AsSpan(0, file.ReadAtLeast(start, Looked, throwOnEndOfStream: false)));
    }

    /// <summary>Such as "an empty file", "a web page", "a pointer of Git LFS …"; "something else" if the kind is not recognized.</summary>
    /// <param name="content">The beginning of a file, or the whole file.</param>
    public static string Describe(ReadOnlySpan<byte> content)
    {
        if (content.IsEmpty)
            return "an empty file";
        foreach (var (start, what) in Signatures)
            if (content.StartsWith(start))
                return what;
        if (content.Length > 257 + 5 && content[257..].StartsWith("ustar"u8))
            return "a tar archive";
        if (content.StartsWith("RIFF"u8))
            return content.Length >= 12 && content[8..].StartsWith("WEBP"u8) ? "a WebP image" : "a RIFF file";
        var look = content[..Math.Min(content.Length, Looked)];
        return IsText(look) ? DescribeText(look)
            : look.ContainsAnyExcept((byte)0) ? "something else"
            : "zeros";
    }

    private static string DescribeText(ReadOnlySpan<byte> content)
    {
        var text = Encoding.Latin1.GetString(content).TrimStart('\u00ef', '\u00bb', '\u00bf', ' ', '\t', '\r', '\n');
        if (text.StartsWith("version https://git-lfs", StringComparison.Ordinal))
            return "a pointer of Git LFS (git lfs pull fetches the file)";
        if (
            text.StartsWith("<!doctype html", StringComparison.OrdinalIgnoreCase)
            || text.Contains("<html", StringComparison.OrdinalIgnoreCase)
        )
            return "a web page";
        return text.StartsWith('<') ? "XML"
            : text.StartsWith('{') || text.StartsWith('[') ? "JSON"
            : "text";
    }

    private static bool IsText(ReadOnlySpan<byte> content)
    {
        foreach (var value in content)
            if (value < 32 && value is not ((byte)'\t' or (byte)'\n' or (byte)'\r' or 12) || value == 127)
                return false;
        return true;
    }
}
