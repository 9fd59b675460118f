// Welch, "The generalization of Student's problem when several different population variances are involved", Biometrika 34 (1947).
// t = (m₁ − m₂) / √(s₁²/n₁ + s₂²/n₂), its degrees of freedom after Satterthwaite. The distribution function is the regularized
// incomplete beta function, as a continued fraction (Abramowitz and Stegun 26.5.8, 26.7.1), evaluated by Lentz's method.
namespace DQ.Reports.Statistics;

/// <summary>Whether two means differ by more than their runs scatter. Variances may differ. Nothing is corrected for many comparisons.</summary>
public static class WelchTest
{
    /// <summary>Means are separated where the two-sided p is below this: 95 %.</summary>
    public const double Significance = 0.05;

    /// <summary>False also where one of them is a single measurement, which does not scatter.</summary>
    public static bool Separates(Sample first, Sample second) => PValue(first, second) < Significance;

    /// <summary>Two-sided; null where one of them is a single measurement.</summary>
    public static double? PValue(Sample first, Sample second)
    {
        if (first.Deviation is not { } s1 || second.Deviation is not { } s2)
            return null;
        var (v1, v2) = (s1 * s1 / first.Count, s2 * s2 / second.Count);
        var difference = first.Mean - second.Mean;
        if (v1 + v2 == 0)
            return difference == 0 ? 1 : 0;
        var freedom = (v1 + v2) * (v1 + v2) / (v1 * v1 / (first.Count - 1) + v2 * v2 / (second.Count - 1));
        return TwoSided(difference / Math.Sqrt(v1 + v2), freedom);
    }

    /// <summary>Probability that Student's t is farther from zero than this.</summary>
    public static double TwoSided(double t, double freedom) => IncompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5);

    private static double IncompleteBeta(double x, double a, double b)
    {
        if (x is <= 0 or >= 1)
            return x <= 0 ? 0 : 1;
        // the fraction converges fast below the mean only
        if (x > (a + 1) / (a + b + 2))
            return 1 - IncompleteBeta(1 - x, b, a);
        var front = Math.Exp(LogGamma(a + b) - LogGamma(a) - LogGamma(b) + a * Math.Log(x) + b * Math.Log(1 - x));
        return front / a / Fraction(x, a, b);
    }

    private static double Fraction(double x, double a, double b)
    {
        var (value, c, d) = (1.0, 1.0, 0.0);
        for (var i = 1; i < 500; i++)
        {
            var m = i / 2;
            var numerator =
                i % 2 == 0
                    ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                    : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
            d = 1 / NotZero(1 + numerator * d);
            c = NotZero(1 + numerator / c);
            value *= c * d;
            if (Math.Abs(c * d - 1) < 1e-14)
                break;
        }
        return value;
    }

    private static double NotZero(double value) => Math.Abs(value) < 1e-300 ? 1e-300 : value;

    /// Stirling's series, above 10 by its recurrence: 1e-14.
    private static double LogGamma(double x)
    {
        var shift = 0.0;
        for (; x < 10; x++)
            shift -= Math.Log(x);
        var square = 1 / (x * x);
        var series = (1.0 / 12 - square * (1.0 / 360 - square * (1.0 / 1260 - square * (1.0 / 1680 - square / 1188)))) / x;
        return shift + (x - 0.5) * Math.Log(x) - x + 0.5 * Math.Log(2 * Math.PI) + series;
    }
}
