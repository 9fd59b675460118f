namespace DQ.Core.Artifacts;

/// <summary>
/// How much rate one curve saves against another at equal quality, on average over the qualities that both reach.
/// </summary>
/// <remarks>
/// Bjøntegaard, <i>Calculation of average PSNR differences between RD-curves</i> (VCEG-M33, 2001): the mean difference of log rate over
/// quality. There a cubic goes through four points; here a monotone piecewise cubic (Fritsch &amp; Butland 1984) goes through any number,
/// as later versions of the method do, since one cubic swings between eight. Points no better than one of lower rate are left out.
/// </remarks>
public static class BjontegaardRate
{
    /// Fewest points of a curve, and parts of the integral.
    private const int FewestPoints = 4;
    private const int Parts = 1000;

    /// <param name="curve">Rate, above 0, and quality (such as −10·log₁₀ of an error), in any order.</param>
    /// <param name="anchor">The curve to compare with.</param>
    /// <returns>Percent, negative where <paramref name="curve"/> needs less; null for fewer than four points or no common quality.</returns>
    public static double? Percent(IEnumerable<(double Rate, double Quality)> curve, IEnumerable<(double Rate, double Quality)> anchor)
    {
        var (one, other) = (Rising(curve), Rising(anchor));
        if (one.Length < FewestPoints || other.Length < FewestPoints)
            return null;
        var (low, high) = (Math.Max(one[0].Quality, other[0].Quality), Math.Min(one[^1].Quality, other[^1].Quality));
        if (!(low < high))
            return null;
        var (first, second) = (LogRate(one), LogRate(other));
        // Simpson's rule; the integrand is smooth but at the points
        var sum = 0.0;
        for (var part = 0; part <= Parts; part++)
        {
            var quality = low + (high - low) * part / Parts;
            var weight =
                part is 0 or Parts ? 1
                : part % 2 == 1 ? 4
                : 2;
            sum += weight * (first(quality) - second(quality));
        }
        return 100 * (Math.Exp(sum / (3 * Parts)) - 1);
    }

    private static (double Rate, double Quality)[] Rising(IEnumerable<(double Rate, double Quality)> points)
    {
        List<(double Rate, double Quality)> kept = [];
        foreach (var point in points.Where(point => point.Rate > 0 && double.IsFinite(point.Quality)).OrderBy(point => point.Rate))
            if (kept.Count == 0 || (point.Quality > kept[^1].Quality && point.Rate > kept[^1].Rate))
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
        (slopes[0], slopes[last]) = (secants[0], secants[last - 1]);
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
}
