namespace DQ.Reports.Statistics;

/// <summary>What several measurements of one number say.</summary>
/// <param name="Count">At least 1.</param>
/// <param name="Deviation">Sample deviation, with Count − 1 below the line; null for one measurement.</param>
public sealed record Sample(int Count, double Mean, double? Deviation)
{
    /// <summary>Of the finite ones; null where there is none.</summary>
    public static Sample? Of(IEnumerable<double?> values)
    {
        double[] finite = [.. values.OfType<double>().Where(double.IsFinite)];
        if (finite.Length == 0)
            return null;
        var mean = finite.Average();
        return new(
            finite.Length,
            mean,
            finite.Length == 1 ? null : Math.Sqrt(finite.Sum(value => (value - mean) * (value - mean)) / (finite.Length - 1))
        );
    }
}
