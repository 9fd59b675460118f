using System.Buffers.Binary;

namespace DQ.Core.Images;

/// <summary>Reads metadata of a PNG file. Source: PNG, third edition, sections 11.2.1 (IHDR) and 11.3.4.5 (eXIf); Exif 2.3.</summary>
internal static class PngMetadata
{
    private const int SignatureBytes = 8;
    private const int HeaderEnd = 33;
    private const int OrientationTag = 0x0112;

    /// <summary>Bits of a stored pixel; null if the header is not in its place.</summary>
    public static int? BitsPerPixel(ReadOnlySpan<byte> png)
    {
        if (png.Length < HeaderEnd || !png[12..].StartsWith("IHDR"u8))
            return null;
        int? channels = png[25] switch
        {
            0 or 3 => 1,
            2 => 3,
            4 => 2,
            6 => 4,
            _ => null,
        };
        return png[24] is 1 or 2 or 4 or 8 or 16 ? png[24] * channels : null;
    }

    /// <summary>Bits of a stored channel; null if the header is not in its place.</summary>
    public static int? BitsPerChannel(ReadOnlySpan<byte> png) => BitsPerPixel(png) == null ? null : png[24];

    /// <summary>The orientation, 1 to 8, of the eXIf chunk; 1 if there is none or it can't be read.</summary>
    public static int Orientation(ReadOnlySpan<byte> png)
    {
        for (var chunk = png[Math.Min(SignatureBytes, png.Length)..]; chunk.Length >= 12; )
        {
            var length = BinaryPrimitives.ReadUInt32BigEndian(chunk);
            if (length > chunk.Length - 12)
                return 1;
            if (chunk[4..].StartsWith("eXIf"u8))
                return OfExif(chunk.Slice(8, (int)length));
            chunk = chunk[(12 + (int)length)..];
        }
        return 1;
    }

    private static int OfExif(ReadOnlySpan<byte> exif)
    {
        if (exif.StartsWith("Exif\0\0"u8)) // JPEG's prefix, which some programs write here too
            exif = exif[6..];
        var isBig = exif.StartsWith("MM\0*"u8);
        if (exif.Length < 8 || !isBig && !exif.StartsWith("II*\0"u8))
            return 1;
        var directory = U32(exif[4..], isBig);
        if (directory > exif.Length - 2)
            return 1;
        var entries = exif[(int)directory..];
        var count = U16(entries, isBig);
        entries = entries[2..];
        for (var entry = 0; entry < count && entries.Length >= 12; entry++, entries = entries[12..])
            if (U16(entries, isBig) == OrientationTag)
                return U16(entries[2..], isBig) == 3 && U16(entries[8..], isBig) is >= 1 and <= 8 and var orientation ? orientation : 1;
        return 1;
    }

    private static int U16(ReadOnlySpan<byte> bytes, bool isBig) =>
        isBig ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : BinaryPrimitives.ReadUInt16LittleEndian(bytes);

    private static long U32(ReadOnlySpan<byte> bytes, bool isBig) =>
        isBig ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes);
}
