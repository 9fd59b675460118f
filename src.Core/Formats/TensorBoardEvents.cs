using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace DQ.Core.Formats;

/// <summary>A number at a step, for TensorBoard.</summary>
/// <param name="WallTime">Seconds since 1970, UTC.</param>
/// <param name="Step">Step of training.</param>
/// <param name="Tag">Name of the curve; the part before the first slash groups curves.</param>
/// <param name="Value">The number, stored as float32.</param>
public readonly record struct ScalarEvent(double WallTime, long Step, string Tag, double Value);

/// <summary>Event files of TensorBoard: numbers by tag and step.</summary>
/// <remarks>
/// Sources: TensorFlow's <c>core/lib/io/record_writer.h</c> for the records (length, its masked CRC32C, data, their masked CRC32C;
/// little-endian), <c>core/util/event.proto</c> and <c>core/framework/summary.proto</c> for their content: an <c>Event</c> has
/// <c>wall_time</c> = 1, <c>step</c> = 2, <c>file_version</c> = 3 and <c>summary</c> = 5; a <c>Summary</c> has <c>value</c> = 1 with
/// <c>tag</c> = 1 and <c>simple_value</c> = 2.
/// </remarks>
public static class TensorBoardEvents
{
    /// <summary>The part of a file's name by which TensorBoard finds it.</summary>
    public const string FileName = "events.out.tfevents.";

    private const uint MaskDelta = 0xa282ead8;

    // field number << 3 | wire type: 0 a varint, 1 eight bytes, 2 a length and bytes, 5 four bytes
    private const byte WallTime = (1 << 3) | 1;
    private const byte Step = 2 << 3;
    private const byte FileVersion = (3 << 3) | 2;
    private const byte Summary = (5 << 3) | 2;
    private const byte SummaryValue = (1 << 3) | 2;
    private const byte Tag = (1 << 3) | 2;
    private const byte SimpleValue = (2 << 3) | 5;

    /// <summary>Writes a whole file: the version, and an event for each number.</summary>
    public static void Write(Stream target, double firstWallTime, IEnumerable<ScalarEvent> events)
    {
        Span<byte> number = stackalloc byte[sizeof(float)];
        Record(target, Event(firstWallTime, 0, FileVersion, "brain.Event:2"u8));
        foreach (var scalar in events)
        {
            using var value = new MemoryStream();
            Bytes(value, Tag, Encoding.UTF8.GetBytes(scalar.Tag));
            value.WriteByte(SimpleValue);
            BinaryPrimitives.WriteSingleLittleEndian(number, (float)scalar.Value);
            value.Write(number);
            using var summary = new MemoryStream();
            Bytes(summary, SummaryValue, value.ToArray());
            Record(target, Event(scalar.WallTime, scalar.Step, Summary, summary.ToArray()));
        }
    }

    /// <summary>CRC32C, rotated and offset, as in the records, because a checksum of data that contains its checksum would be
    /// weak.</summary>
    public static uint MaskedChecksum(ReadOnlySpan<byte> data)
    {
        var sum = uint.MaxValue;
        foreach (var one in data)
            sum = BitOperations.Crc32C(sum, one);
        return BitOperations.RotateRight(~sum, 15) + MaskDelta;
    }

    private static byte[] Event(double wallTime, long step, byte field, ReadOnlySpan<byte> content)
    {
        using var record = new MemoryStream();
        record.WriteByte(WallTime);
        Span<byte> time = stackalloc byte[sizeof(double)];
        BinaryPrimitives.WriteDoubleLittleEndian(time, wallTime);
        record.Write(time);
        record.WriteByte(Step);
        Varint(record, (ulong)step);
        Bytes(record, field, content);
        return record.ToArray();
    }

    private static void Record(Stream target, byte[] data)
    {
        Span<byte> length = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)data.Length);
        target.Write(length);
        Checksum(target, length);
        target.Write(data);
        Checksum(target, data);
    }

    private static void Checksum(Stream target, ReadOnlySpan<byte> data)
    {
        Span<byte> sum = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(sum, MaskedChecksum(data));
        target.Write(sum);
    }

    private static void Bytes(Stream target, byte field, ReadOnlySpan<byte> content)
    {
        target.WriteByte(field);
        Varint(target, (ulong)content.Length);
        target.Write(content);
    }

    private static void Varint(Stream target, ulong value)
    {
        for (; value >= 0x80; value >>= 7)
            target.WriteByte((byte)(value | 0x80));
        target.WriteByte((byte)value);
    }
}
