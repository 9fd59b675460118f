using System.Buffers;
using System.Text.Json;

namespace DQ.Reports.Metrics;

/// <summary>The series of a run as the charts take them: by split, arrays of equal length by name; null where a row has no number.</summary>
public static class MetricsJson
{
    /// <param name="wanted">Names to write; null for all.</param>
    public static byte[] Of(
        IReadOnlyDictionary<string, SeriesTable> tables,
        long bytesRead,
        long linesSkipped,
        Func<string, bool>? wanted = null
    )
    {
        var buffer = new ArrayBufferWriter<byte>(1 << 16);
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        json.WriteNumber("bytes", bytesRead);
        json.WriteNumber("lines_skipped", linesSkipped);
        foreach (var (split, table) in tables)
        {
            var names = table.Names.Where(wanted ?? (_ => true)).ToArray();
            json.WriteStartObject(split);
            json.WriteNumber("lines", table.Lines);
            json.WriteNumber("lines_per_row", table.LinesPerRow);
            json.WriteStartObject("mean");
            foreach (var name in names)
                Write(json, name, table.Means(name));
            json.WriteEndObject();
            if (table.LinesPerRow > 1)
            {
                json.WriteStartObject("low");
                foreach (var name in names.Where(HasSpikes))
                    Write(json, name, table.Lowest(name));
                json.WriteEndObject();
                json.WriteStartObject("high");
                foreach (var name in names.Where(HasSpikes))
                    Write(json, name, table.Highest(name));
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    private static bool HasSpikes(string name) => !name.Contains('.') && name is not ("step" or "images_seen" or "seconds");

    private static void Write(Utf8JsonWriter json, string name, IEnumerable<double> values)
    {
        json.WriteStartArray(name);
        Span<byte> text = stackalloc byte[32];
        foreach (var value in values)
            if (!double.IsFinite(value))
                json.WriteNullValue();
            // six digits are more than a screen shows, and half the bytes of all
            else if (value.TryFormat(text, out var written, Digits(value), System.Globalization.CultureInfo.InvariantCulture))
                json.WriteRawValue(text[..written], skipInputValidation: true);
            else
                json.WriteNumberValue(value);
        json.WriteEndArray();
    }

    private static string Digits(double value) => Math.Abs(value) < 1e15 && Math.Floor(value) == value ? "F0" : "G6";
}
