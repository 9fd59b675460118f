using DQ.Core.Artifacts;
using DQ.Reports.Statistics;

namespace DQ.Reports.Sweeps;

/// <summary>
/// The results of a sweep in the form of the paper's tables: a line per setting, the quantizers side by side, published values beside ours.
/// </summary>
/// <param name="Keys">Of the settings, without the quantizer where that is what varies.</param>
/// <param name="Methods">A pair of columns each; one without a name where the quantizer does not vary.</param>
public sealed record SweepTable(IReadOnlyList<string> Keys, IReadOnlyList<string> Methods, IReadOnlyList<SweepLine> Lines)
{
    private const string Quantizer = "model.quantizer.kind";

    /// <param name="loss">Rows of this loss only.</param>
    public static SweepTable Of(SweepRecord sweep, string loss)
    {
        var rows = sweep.Rows.Where(row => row.Loss == loss).ToArray();
        var pivots = SweepPlot.Axes(sweep).Contains(Quantizer);
        string Method(SweepRow row) => pivots ? SweepPlot.Text(row.Settings[Quantizer]) : "";
        IReadOnlyList<string> keys = [.. sweep.Keys.Where(key => !pivots || key != Quantizer)];
        IReadOnlyList<string> methods = [.. rows.Select(Method).Distinct()];
        return new(
            keys,
            methods,
            [
                .. rows.GroupBy(row => string.Join('\n', keys.Select(key => SweepPlot.Text(row.Settings[key]))))
                    .Select(group => new SweepLine(
                        [.. keys.Select(key => SweepPlot.Text(group.First().Settings[key]))],
                        [.. methods.Select(method => group.FirstOrDefault(row => Method(row) == method))],
                        loss
                    )),
            ]
        );
    }
}

/// <param name="Settings">A text per key.</param>
/// <param name="Rows">One per method; null where the sweep has none.</param>
/// <param name="Loss">Which number is looked at.</param>
public sealed record SweepLine(IReadOnlyList<string> Settings, IReadOnlyList<SweepRow?> Rows, string Loss)
{
    public SweepStatistic? Ours(int method) => Rows[method]?.Metrics.GetValueOrDefault(Loss);

    public PublishedValue? Published(int method) => Rows[method]?.Published.GetValueOrDefault(Loss);

    /// <summary>Whether its loss is the lowest, and Welch's test separates it from every other method's; never where there is but one.</summary>
    public bool IsBest(int method) =>
        Known.Length > 1
        && SampleOf(method) is { } mine
        && Known.Where(one => one != method).All(one => SampleOf(one)!.Mean > mine.Mean && WelchTest.Separates(mine, SampleOf(one)!));

    /// <summary>Several methods, and none is the best.</summary>
    public bool IsUndecided => Known.Length > 1 && !Known.Any(IsBest);

    private int[] Known => [.. Enumerable.Range(0, Rows.Count).Where(method => Ours(method) is not null)];

    private Sample? SampleOf(int method) =>
        Ours(method) is { } statistic ? new(Rows[method]!.Completed, statistic.Mean, statistic.SampleDeviation) : null;

    public string Sources =>
        string.Join(
            "; ",
            Rows.Select((_, method) => Published(method)?.Source).OfType<string>().Where(source => source.Length > 0).Distinct()
        );

    public string Seeds => string.Join(", ", Rows.OfType<SweepRow>().Select(row => $"{row.Completed} of {row.Cells.Count}").Distinct());
}
