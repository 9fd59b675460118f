using System.Buffers.Binary;
using System.IO.Compression;
using DQ.Core.Formats;

namespace DQ.Core.Images;

/// <summary>
/// Reads the ICC profile of an image file, and inserts one. Sources: PNG, third edition, 11.3.2.3 (iCCP); ICC.1:2022, annex B.4 (JPEG's
/// APP2); WebP container specification (ICCP).
/// </summary>
internal static class IccProfile
{
    /// <summary>Maximum bytes of a profile; a larger one is treated as damaged.</summary>
    private const int Largest = 16 << 20;

    private const int PngSignature = 8;
    private const int PngHeaderEnd = 33;

    /// <summary>The profile of a PNG, JPEG or WebP file; null if it has none, or none that can be read.</summary>
    public static byte[]? Of(ReadOnlySpan<byte> file)
    {
        try
        {
            return file.StartsWith((ReadOnlySpan<byte>)[0x89, .. "PNG"u8]) ? OfPng(file[PngSignature..])
                : file.StartsWith((ReadOnlySpan<byte>)[0xff, 0xd8]) ? OfJpeg(file[2..])
                : file.StartsWith("RIFF"u8) && file.Length > 12 ? OfWebP(file[12..])
                : null;
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }

    /// <summary>Inserts the profile behind the header of a PNG file.</summary>
    /// <param name="png">A PNG file without a profile.</param>
    /// <param name="profile">The profile to insert.</param>
    public static byte[] IntoPng(ReadOnlySpan<byte> png, byte[] profile)
    {
        using var chunk = new MemoryStream();
        chunk.Write("iCCPICC profile\0\0"u8); // type, name, deflate
        using (var deflate = new ZLibStream(chunk, CompressionLevel.Optimal, leaveOpen: true))
            deflate.Write(profile);
        var content = chunk.ToArray();
        var result = new byte[png.Length + content.Length + 8];
        png[..PngHeaderEnd].CopyTo(result);
        BinaryPrimitives.WriteInt32BigEndian(result.AsSpan(PngHeaderEnd), content.Length - 4);
        content.CopyTo(result, PngHeaderEnd + 4);
        BinaryPrimitives.WriteUInt32BigEndian(result.AsSpan(PngHeaderEnd + 4 + content.Length), Crc32.Of(content));
        png[PngHeaderEnd..].CopyTo(result.AsSpan(PngHeaderEnd + 8 + content.Length));
        return result;
    }

    private static byte[]? OfPng(ReadOnlySpan<byte> chunks)
    {
        while (chunks.Length >= 12)
        {
            var length = BinaryPrimitives.ReadUInt32BigEndian(chunks);
            if (length > chunks.Length - 12 || chunks[4..].StartsWith("IDAT"u8))
                return null;
            if (chunks[4..].StartsWith("iCCP"u8))
            {
                var content = chunks.Slice(8, (int)length);
                var name = content.IndexOf((byte)0);
                return name >= 0 && content.Length > name + 2 ? Inflated(content[(name + 2)..]) : null;
            }
            chunks = chunks[(12 + (int)length)..];
        }
        return null;
    }

    private static byte[] Inflated(ReadOnlySpan<byte> packed)
    {
        using var stream = new ZLibStream(new MemoryStream(packed.ToArray()), CompressionMode.Decompress);
        using var profile = new MemoryStream();
        var buffer = new byte[1 << 14];
        for (int read; (read = stream.Read(buffer)) > 0; )
        {
            profile.Write(buffer, 0, read);
            if (profile.Length > Largest)
                throw new InvalidDataException("a profile that is too long");
        }
        return profile.ToArray();
    }

    /// Parts of a profile. Each is in its own segment, after its number and the number of parts.
    private static byte[]? OfJpeg(ReadOnlySpan<byte> segments)
    {
        var parts = new SortedDictionary<int, byte[]>();
        while (segments.Length >= 4 && segments[0] == 0xff && segments[1] is not (0xda or 0xd9))
        {
            var length = BinaryPrimitives.ReadUInt16BigEndian(segments[2..]);
            if (length < 2 || length > segments.Length - 2)
                break;
            var content = segments.Slice(4, length - 2);
            if (segments[1] == 0xe2 && content.StartsWith("ICC_PROFILE\0"u8) && content.Length > 14)
                parts[content[12]] = content[14..].ToArray();
            segments = segments[(2 + length)..];
        }
        return parts.Count > 0 ? [.. parts.Values.SelectMany(part => part)] : null;
    }

    private static byte[]? OfWebP(ReadOnlySpan<byte> chunks)
    {
        while (chunks.Length >= 8)
        {
            var length = BinaryPrimitives.ReadUInt32LittleEndian(chunks[4..]);
            if (length > chunks.Length - 8)
                return null;
            if (chunks.StartsWith("ICCP"u8))
                return chunks.Slice(8, (int)length).ToArray();
            chunks = chunks[Math.Min(8 + (int)length + ((int)length & 1), chunks.Length)..];
        }
        return null;
    }
}
