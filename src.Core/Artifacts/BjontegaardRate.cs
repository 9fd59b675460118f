namespace DQ.Core.Artifacts;

/// <summary>
/// Average difference in rate of one curve from another at equal quality, over the qualities that both reach.
/// </summary>
/// <remarks>
/// Bjøntegaard, <i>Calculation of average PSNR differences between RD-curves</i> (VCEG-M33, 2001): the mean difference of log rate over
/// quality. There a cubic goes through four points. Here a monotone piecewise cubic (pchip) goes through any number of points, as in later
/// versions of the method, since a single cubic through eight points oscillates. Its slopes are those of Fritsch &amp; Butland 1984 inside,
/// and of three points at the ends (Moler, <i>Numerical Computing with MATLAB</i>, 2004, section 3.6), as in SciPy's PchipInterpolator,
/// which the common programs use. Deviation: points that are no better than one of lower rate are left out, and of several points with the
/// same rate all but the best.
/// </remarks>
public static class BjontegaardRate
{
    /// Minimum number of points of a curve.
    private const int FewestPoints = 4;

    /// <param name="curve">Rate, above 0, and quality (such as −10·log₁₀ of an error), in any order.</param>
    /// <param name="anchor">The curve to compare with.</param>
    /// <returns>Percent, negative if <paramref name="curve"/> needs less; null for fewer than four usable points or no common
    /// quality.</returns>
    public static double? Percent(IEnumerable<(double Rate, double Quality)> curve, IEnumerable<(double Rate, double Quality)> anchor)
    {
        var (one, other) = (Rising(curve), Rising(anchor));
        if (one.Length < FewestPoints || other.Length < FewestPoints)
            return null;
        var (low, high) = (Math.Max(one[0].Quality, other[0].Quality), Math.Min(one[^1].Quality, other[^1].Quality));
        if (!(low < high))
            return null;
        var (first, second) = (LogRate(one), LogRate(other));
        double Difference(double quality) => first(quality) - second(quality);
        // between two neighbouring points of either curve both are cubics, for which Simpson's rule is exact
        double[] ends =
        [
            low,
            .. one.Concat(other).Select(point => point.Quality).Where(quality => quality > low && quality < high).Order(),
            high,
        ];
        var sum = 0.0;
        foreach (var (left, right) in ends.Zip(ends.Skip(1)))
            sum += (right - left) / 6 * (Difference(left) + 4 * Difference((left + right) / 2) + Difference(right));
        return 100 * (Math.Exp(sum / (high - low)) - 1);
    }

    /// The usable points, in which both rate and quality rise.
    private static (double Rate, double Quality)[] Rising(IEnumerable<(double Rate, double Quality)> points)
    {
        List<(double Rate, double Quality)> kept = [];
        var usable = points.Where(point => point.Rate > 0 && double.IsFinite(point.Rate) && double.IsFinite(point.Quality));
        foreach (var point in usable.OrderBy(point => point.Rate).ThenByDescending(point => point.Quality))
            if (kept.Count == 0 || point.Quality > kept[^1].Quality)
                kept.Add(point);
        return [.. kept];
    }

    /// Natural logarithm of the rate as a function of quality, between the first point's and the last's.
    private static Func<double, double> LogRate((double Rate, double Quality)[] points)
    {
        var x = points.Select(point => point.Quality).ToArray();
        var y = points.Select(point => Math.Log(point.Rate)).ToArray();
        var last = x.Length - 1;
        var secants = Enumerable.Range(0, last).Select(i => (y[i + 1] - y[i]) / (x[i + 1] - x[i])).ToArray();
        var slopes = new double[x.Length];
        slopes[0] = EndSlope(x[1] - x[0], x[2] - x[1], secants[0], secants[1]);
        slopes[last] = EndSlope(x[last] - x[last - 1], x[last - 1] - x[last - 2], secants[last - 1], secants[last - 2]);
        for (var i = 1; i < last; i++)
        {
            // weighted harmonic mean; all secants are positive
            var (before, after) = (x[i] - x[i - 1], x[i + 1] - x[i]);
            var (left, right) = (2 * after + before, after + 2 * before);
            slopes[i] = (left + right) / (left / secants[i - 1] + right / secants[i]);
        }
        return quality =>
        {
            var i = Math.Clamp(Array.FindLastIndex(x, value => value <= quality), 0, last - 1);
            var width = x[i + 1] - x[i];
            var t = (quality - x[i]) / width;
            return (1 + 2 * t) * (1 - t) * (1 - t) * y[i]
                + t * (1 - t) * (1 - t) * width * slopes[i]
                + t * t * (3 - 2 * t) * y[i + 1]
                + t * t * (t - 1) * width * slopes[i + 1];
        };
    }

    /// The slope of the parabola through the outermost three points. Both secants are positive. So of the formula's rules for keeping the
    /// curve monotone only one can apply: no slope against the secant's direction.
    private static double EndSlope(double width, double nextWidth, double secant, double nextSecant) =>
        Math.Max(0, ((2 * width + nextWidth) * secant - width * nextSecant) / (width + nextWidth));
}
