using System.Buffers;

namespace DQ.Reports.Metrics;

/// <summary>What a run's log says, read as it grows and kept in bounded memory.</summary>
public sealed class RunMetrics
{
    public const string Train = "train";
    public const string Validation = "validation";

    /// <summary>Rows kept per split: more than a screen has pixels.</summary>
    public const int Rows = 2048;

    /// <summary>What lies beyond is not read.</summary>
    public const long LargestFileBytes = 1L << 30;

    private readonly Lock gate = new();
    private readonly Dictionary<string, string> names = new(StringComparer.Ordinal);
    private byte[] tail = [];
    private long offset;
    private long bad;
    private Dictionary<string, SeriesTable> tables = Empty();
    private byte[]? json;

    /// <summary>Reads what was added since the last time; reads all again where the log was cut, as when a run goes on from a checkpoint.</summary>
    /// <returns>The series as JSON, the same bytes until something is added.</returns>
    public byte[] Refresh(string path)
    {
        lock (gate)
        {
            if (Grow(path) || json is null)
                json = MetricsJson.Of(tables, offset, bad);
            return json;
        }
    }

    /// <summary>The series now.</summary>
    public T Look<T>(Func<IReadOnlyDictionary<string, SeriesTable>, T> look)
    {
        lock (gate)
            return look(tables);
    }

    /// <summary>Lines that were read and are none of a log.</summary>
    public long UnreadableLines
    {
        get
        {
            lock (gate)
                return bad;
        }
    }

    private bool Grow(string path)
    {
        // a named pipe has no length, and would not be opened before somebody writes to it
        if (new FileInfo(path) is not { Exists: true, Length: > 0 })
            return Forget();
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
        var changed = !Continues(stream) && Forget();
        stream.Position = offset;
        var buffer = ArrayPool<byte>.Shared.Rent(MetricsLine.LongestBytes * 2);
        try
        {
            var filled = 0;
            var skipping = false;
            while (offset < LargestFileBytes && stream.Read(buffer, filled, buffer.Length - filled) is > 0 and var got)
            {
                filled += got;
                var used = Lines(buffer.AsSpan(0, filled), ref skipping);
                if (used > 0)
                {
                    tail = buffer.AsSpan(Math.Max(0, used - 64), Math.Min(used, 64)).ToArray();
                    offset += used;
                    changed = true;
                    buffer.AsSpan(used, filled - used).CopyTo(buffer);
                    filled -= used;
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return changed;
    }

    /// Bytes of whole lines, and of as much of a line that is none of ours as is there.
    private int Lines(ReadOnlySpan<byte> bytes, ref bool skipping)
    {
        var used = 0;
        while (bytes[used..].IndexOf((byte)'\n') is >= 0 and var end)
        {
            if (!skipping && end > 0 && !MetricsLine.Read(bytes.Slice(used, end), tables.GetValueOrDefault, names))
                bad++;
            skipping = false;
            used += end + 1;
        }
        if (bytes.Length - used <= MetricsLine.LongestBytes)
            return used;
        bad += skipping ? 0 : 1;
        skipping = true;
        return bytes.Length;
    }

    private bool Continues(FileStream stream)
    {
        if (stream.Length < offset)
            return false;
        Span<byte> there = stackalloc byte[64];
        stream.Position = offset - tail.Length;
        var read = stream.ReadAtLeast(there[..tail.Length], tail.Length, throwOnEndOfStream: false);
        return there[..read].SequenceEqual(tail);
    }

    private bool Forget()
    {
        var had = offset > 0;
        (tables, tail, offset, bad) = (Empty(), [], 0, 0);
        return had;
    }

    private static Dictionary<string, SeriesTable> Empty() => new() { [Train] = new(Rows), [Validation] = new(Rows) };
}
