using System.Globalization;
using System.Text;
using DQ.Core.Artifacts;

namespace DQ.Core.BitAllocation;

/// <summary>The subject of an interval table, for which alone it is valid.</summary>
/// <param name="Network">Name of the network and hash of its content, such as <c>resnet18-5c106cde386e</c>.</param>
/// <param name="Layer">The layer whose output is quantized.</param>
/// <param name="Quantizer"><see cref="ChannelQuantizer.Name"/>.</param>
public sealed record IntervalSubject(string Network, string Layer, string Quantizer);

/// <summary>The best interval of every channel for every bit count, from calibration images; stored as a CSV file with one line for
/// each.</summary>
/// <param name="Subject">Subject of the table.</param>
/// <param name="Lowest">Smallest calibration value by channel.</param>
/// <param name="Intervals">Intervals by channel, then bits 0 to <see cref="MaxBits"/>.</param>
/// <param name="SquaredErrors">Mean squared errors over the calibration values, in the same order.</param>
public sealed record IntervalTable(IntervalSubject Subject, float[] Lowest, float[][] Intervals, double[][] SquaredErrors)
{
    /// <summary>Maximum bits of a channel.</summary>
    public const int MaxBits = 8;

    private const string Header = "network,layer,quantizer,channel,bits,interval,lowest,mean_squared_error";

    public int Channels => Lowest.Length;

    /// <summary>Writes the table as CSV; the file is written completely or not at all.</summary>
    public void Write(string path)
    {
        var text = new StringBuilder(Header).Append('\n');
        for (var channel = 0; channel < Channels; channel++)
        for (var bits = 0; bits <= MaxBits; bits++)
            text.Append(
                CultureInfo.InvariantCulture,
                $"{Subject.Network},{Subject.Layer},{Subject.Quantizer},{channel},{bits},{Intervals[channel][bits]:R},{Lowest[channel]:R},{SquaredErrors[channel][bits]:R}\n"
            );
        AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text.ToString())));
    }

    /// <summary>Reads a table written by <see cref="Write"/>.</summary>
    /// <exception cref="ArtifactException">The file is not such a table, is damaged, or has another subject; the message names the file and
    /// the line.</exception>
    public static IntervalTable Read(string path, IntervalSubject expected, int channels)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            throw new ArtifactException($"{path}: can't be read: {problem.Message}", problem);
        }
        if (lines.Length == 0 || lines[0] != Header)
            throw new ArtifactException($"{path}: expected an interval table, whose first line is {Header}");
        if (lines.Length > 1)
            Check(path, lines[1].Split(','), expected);
        var lineCount = 1 + channels * (MaxBits + 1);
        if (lines.Length != lineCount)
            throw new ArtifactException(
                $"{path}: expected {lineCount} lines, a first one and {MaxBits + 1} for each of {channels} channels, got {lines.Length}"
            );
        var table = new IntervalTable(
            expected,
            new float[channels],
            [.. Enumerable.Range(0, channels).Select(_ => new float[MaxBits + 1])],
            [.. Enumerable.Range(0, channels).Select(_ => new double[MaxBits + 1])]
        );
        for (var line = 1; line < lines.Length; line++)
        {
            var (channel, bits) = Math.DivRem(line - 1, MaxBits + 1);
            var cells = lines[line].Split(',');
            Check(path, cells, expected);
            if (
                cells[3] != channel.ToString(CultureInfo.InvariantCulture)
                || cells[4] != bits.ToString(CultureInfo.InvariantCulture)
                || !Number(cells[5], out var interval)
                || interval < 0
                || !Number(cells[6], out var lowest)
                || !Number(cells[7], out var error)
            )
                throw new ArtifactException(
                    $"{path}: line {line + 1}: expected channel {channel} with {bits} bits, its interval, lowest value and error"
                );
            (table.Intervals[channel][bits], table.Lowest[channel]) = ((float)interval, (float)lowest);
            table.SquaredErrors[channel][bits] = error;
        }
        return table;
    }

    private static bool Number(string text, out double value) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value) && double.IsFinite(value);

    private static void Check(string path, string[] cells, IntervalSubject expected)
    {
        const int Columns = 8;
        if (cells.Length != Columns)
            throw new ArtifactException($"{path}: expected {Columns} columns in every line, got {cells.Length}");
        var subject = new IntervalSubject(cells[0], cells[1], cells[2]);
        if (subject != expected)
            throw new ArtifactException(
                $"{path}: expected a table for network {expected.Network}, layer {expected.Layer}, quantizer {expected.Quantizer}; it was made for "
                    + $"network {subject.Network}, layer {subject.Layer}, quantizer {subject.Quantizer}"
            );
    }
}
