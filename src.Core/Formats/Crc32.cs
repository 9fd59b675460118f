namespace DQ.Core.Formats;

/// <summary>The checksum of zip archives: polynomial 0x04C11DB7, bits reflected.</summary>
internal static class Crc32
{
    private static readonly uint[] Table = [.. Enumerable.Range(0, 256).Select(value => Shifted((uint)value))];

    /// <summary>The checksum of the stream's bytes, of at most <paramref name="most"/> + 1 of them, and their number.</summary>
    public static (uint Checksum, long Bytes) Of(Stream bytes, long most)
    {
        var buffer = new byte[1 << 16];
        var state = uint.MaxValue;
        var total = 0L;
        while (total <= most && bytes.Read(buffer, 0, (int)Math.Min(buffer.Length, most + 1 - total)) is > 0 and var read)
        {
            foreach (var value in buffer.AsSpan(0, read))
                state = Table[(byte)(state ^ value)] ^ (state >> 8);
            total += read;
        }
        return (~state, total);
    }

    /// <summary>The checksum of these bytes.</summary>
    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        var state = uint.MaxValue;
        foreach (var value in bytes)
            state = Table[(byte)(state ^ value)] ^ (state >> 8);
        return ~state;
    }

    private static uint Shifted(uint value)
    {
        for (var bit = 0; bit < 8; bit++)
            value = (value & 1) != 0 ? 0xEDB88320 ^ (value >> 1) : value >> 1;
        return value;
    }
}
