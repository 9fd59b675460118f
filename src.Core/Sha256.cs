using System.Security.Cryptography;
using System.Text;

namespace DQ.Core;

/// <summary>SHA-256 as 64 hexadecimal digits, lower case: the name of files and contents everywhere in this program.</summary>
public static class Sha256
{
    /// <exception cref="IOException">The file can't be read.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission to read it.</exception>
    public static string OfFile(string path)
    {
        using var stream = RegularFile.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>SHA-256 of the text's UTF-8 bytes.</summary>
    public static string OfText(string text) => Of(Encoding.UTF8.GetBytes(text));

    public static string Of(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}
