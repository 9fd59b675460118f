using System.Globalization;
using DQ.Core.Artifacts;

namespace DQ.Reports.Charts;

/// <summary>Bits of feature channels in pictures.</summary>
public static class AllocationCharts
{
    /// <summary>The output's squared error over a rate, a line per method.</summary>
    public static LinesSpec Distortion(AllocationRecord record, string rateName, Func<AllocationPoint, double> rate) =>
        new()
        {
            Title = $"Output error over {rateName}",
            XName = rateName,
            YName = "squared error of the output",
            LogY = true,
            Series =
            [
                .. Methods(record)
                    .Select(method => new Line(
                        method,
                        [
                            .. record
                                .Points.Where(point => point.Method == method)
                                .OrderBy(rate)
                                .Select(point => new double?[] { rate(point), point.Test.OutputSquaredError }),
                        ],
                        Dashed: method == "equal"
                    )),
            ],
        };

    /// <summary>Bits of each channel, those with most first where so asked.</summary>
    public static BarsSpec Bits(AllocationPoint point, bool sorted)
    {
        var order = Enumerable.Range(0, point.Bits.Count);
        if (sorted)
            order = order.OrderByDescending(channel => point.Bits[channel]);
        var channels = order.ToArray();
        return new()
        {
            Title = string.Create(CultureInfo.InvariantCulture, $"Bits by channel, {point.Method}, {point.AverageBits} on average"),
            X = [.. channels.Select(channel => channel.ToString(CultureInfo.InvariantCulture))],
            XName = "channel",
            Series = [new("bits", [.. channels.Select(channel => (double)point.Bits[channel])])],
        };
    }

    /// <summary>Names in the order in which they were made.</summary>
    public static IReadOnlyList<string> Methods(AllocationRecord record) => [.. record.Points.Select(point => point.Method).Distinct()];
}
