using System.Globalization;

namespace DQ.Reports.Text;

/// <summary>How numbers and times are written, once for all pages.</summary>
public static class Show
{
    private static readonly CultureInfo Culture = CultureInfo.InvariantCulture;

    public const string Nothing = "–";

    /// <summary>Four significant digits or so: 0.00012, 3.1420, 19.60, 1,234.</summary>
    public static string Number(double? value) =>
        value switch
        {
            null => Nothing,
            var v when !double.IsFinite(v.Value) => Nothing,
            0 => "0",
            var v when Math.Abs(v.Value) >= 1000 => v.Value.ToString("N0", Culture),
            var v when Math.Abs(v.Value) >= 10 => v.Value.ToString("0.00", Culture),
            var v when Math.Abs(v.Value) >= 0.01 => v.Value.ToString("0.0000", Culture),
            var v when Math.Abs(v.Value) >= 0.001 => v.Value.ToString("0.#####", Culture),
            var v when Math.Abs(v.Value) >= 0.0001 => v.Value.ToString("0.######", Culture),
            var v => v.Value.ToString("0.00e+0", Culture),
        };

    /// <summary>A mean and its deviation to the same decimal.</summary>
    public static string Spread(double? mean, double? deviation)
    {
        var text = Number(mean);
        if (deviation is not { } spread)
            return text;
        var decimals = text.Contains('e') || !text.Contains('.') ? -1 : text.Length - text.IndexOf('.') - 1;
        return $"{text} ± {(decimals < 0 ? Number(spread) : spread.ToString($"F{decimals}", Culture))}";
    }

    public static string Number(double? value, string format) =>
        value is { } v && double.IsFinite(v) ? v.ToString(format, Culture) : Nothing;

    public static string Count(long? value) => value?.ToString("N0", Culture) ?? Nothing;

    /// <summary>173,379 as 173 k.</summary>
    public static string Short(long? value) =>
        value switch
        {
            null => Nothing,
            >= 1_000_000_000 => $"{(value.Value / 1e9).ToString("0.##", Culture)} G",
            >= 1_000_000 => $"{(value.Value / 1e6).ToString("0.##", Culture)} M",
            >= 10_000 => $"{(value.Value / 1e3).ToString("0", Culture)} k",
            _ => Count(value),
        };

    public static string Duration(double seconds) =>
        seconds switch
        {
            < 1 => $"{(seconds * 1000).ToString("0", Culture)} ms",
            < 60 => $"{seconds.ToString("0.#", Culture)} s",
            < 3600 => $"{(int)seconds / 60} min {(int)seconds % 60} s",
            < 86400 => $"{(int)seconds / 3600} h {(int)seconds % 3600 / 60} min",
            _ => $"{(int)seconds / 86400} d {(int)seconds % 86400 / 3600} h",
        };

    /// <summary>In universal time: whoever looks may be elsewhere than whoever trained.</summary>
    public static string Time(DateTime? utc) =>
        utc?.ToString("yyyy-MM-dd HH:mm", Culture) + " UTC" is { Length: > 4 } text ? text : Nothing;

    public static string Ago(DateTime? utc, DateTime nowUtc) =>
        utc is not { } time
            ? Nothing
            : (nowUtc - time) switch
            {
                { TotalSeconds: < 60 } => "just now",
                { TotalMinutes: < 60 } age => $"{(int)age.TotalMinutes} min ago",
                { TotalHours: < 24 } age => $"{(int)age.TotalHours} h ago",
                { TotalDays: < 14 } age => $"{(int)age.TotalDays} d ago",
                _ => time.ToString("yyyy-MM-dd", Culture),
            };

    public static string Bytes(long bytes) =>
        bytes switch
        {
            >= 1L << 30 => $"{(bytes / (double)(1L << 30)).ToString("0.0", Culture)} GiB",
            >= 1 << 20 => $"{(bytes / (double)(1 << 20)).ToString("0.0", Culture)} MiB",
            >= 1 << 10 => $"{(bytes / (double)(1 << 10)).ToString("0.0", Culture)} KiB",
            _ => $"{bytes} B",
        };

    /// <summary>Names of the program's own, such as <c>logistic_mixture</c>, as words.</summary>
    public static string Words(string name) => name.Replace('_', ' ');
}
