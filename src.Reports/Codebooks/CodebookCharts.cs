using DQ.Core.Formats;
using DQ.Reports.Charts;

namespace DQ.Reports.Codebooks;

/// <summary>Charts of codebooks.</summary>
public static class CodebookCharts
{
    /// <summary>Times each code was chosen.</summary>
    /// <param name="sorted">The most used first, or by index.</param>
    public static BarsSpec Usage(StoredArray<long> histogram, int codebook, bool sorted)
    {
        var counts = histogram.At(codebook).ToArray().Select((count, code) => (count, code));
        var shown = (sorted ? counts.OrderByDescending(one => one.count).ThenBy(one => one.code) : counts).ToArray();
        return new()
        {
            Title = $"Times chosen, codebook {codebook}",
            X = [.. shown.Select(one => $"{one.code}")],
            XName = sorted ? "code, the most used first" : "code",
            Series = [new("times chosen", [.. shown.Select(one => (double)one.count)])],
        };
    }

    /// <summary>Times each code was chosen, the most used first, a line per codebook: how unequal use is, at a glance.</summary>
    public static LinesSpec Ranks(StoredArray<long> histogram, string title) =>
        new()
        {
            Title = title,
            XName = "code, the most used first",
            YName = "times chosen",
            Series =
            [
                .. Enumerable
                    .Range(0, (int)histogram.Shape[0])
                    .Select(book => new Line(
                        $"{book}",
                        [.. histogram.At(book).ToArray().OrderDescending().Select((count, rank) => new double?[] { rank + 1, count })],
                        Plain: true
                    )),
            ],
        };

    /// <summary>Mutual information of each two codebooks, their entropies on the diagonal.</summary>
    /// <param name="high">End of the scale: the same for matrices shown side by side.</param>
    public static HeatmapSpec Information(string title, StoredArray<double> matrix, double high)
    {
        var count = (int)matrix.Shape[0];
        var names = Enumerable.Range(0, count).Select(book => $"{book}").ToArray();
        return new()
        {
            Title = title,
            X = names,
            Y = names,
            XName = "codebook",
            YName = "codebook",
            Values =
            [
                .. Enumerable
                    .Range(0, count)
                    .Select(IReadOnlyList<double?> (row) => [.. matrix.At(row).ToArray().Select(value => (double?)value)]),
            ],
            Low = 0,
            High = high,
            Unit = "nats",
        };
    }

    /// <summary>Entropy at each position of the grid.</summary>
    public static HeatmapSpec Entropy(StoredArray<double> map, int codebook, int codes)
    {
        var (height, width) = ((int)map.Shape[1], (int)map.Shape[2]);
        var values = map.At(codebook).ToArray();
        return new()
        {
            Title = $"Entropy by position, codebook {codebook}",
            X = [.. Enumerable.Range(0, width).Select(x => $"{x}")],
            Y = [.. Enumerable.Range(0, height).Select(y => $"{y}")],
            XName = "column",
            YName = "row",
            Values =
            [
                .. Enumerable
                    .Range(0, height)
                    .Select(IReadOnlyList<double?> (y) => [.. values.Skip(y * width).Take(width).Select(value => (double?)value)]),
            ],
            Low = Math.Min(values.Min(), Math.Log(codes)),
            High = Math.Max(values.Max(), 1e-9),
            Unit = "nats",
        };
    }
}
