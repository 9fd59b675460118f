using System.Globalization;
using DQ.Reports.Urls;

namespace DQ.Reports.Charts;

/// <summary>How curves are drawn, from the page's query.</summary>
/// <param name="Axis"><c>step</c>, <c>images_seen</c> or <c>seconds</c>.</param>
/// <param name="Smoothing">0 … 0.99.</param>
public sealed record CurveSettings(string Axis, bool Log, double Smoothing)
{
    public const double DefaultSmoothing = 0.6;

    public static IReadOnlyList<(string Key, string Label)> Axes { get; } =
    [("step", "Steps"), ("images_seen", "Images"), ("seconds", "Time")];

    public static CurveSettings Of(Query query) =>
        new(
            Axes.Select(axis => axis.Key).FirstOrDefault(key => key == query[Links.Names.Axis]) ?? "step",
            query.Has(Links.Names.Log),
            double.TryParse(query[Links.Names.Smoothing], CultureInfo.InvariantCulture, out var weight)
                ? Math.Clamp(weight, 0, 0.99)
                : DefaultSmoothing
        );

    public static string DefaultText { get; } = DefaultSmoothing.ToString(CultureInfo.InvariantCulture);

    public string SmoothingText => Smoothing.ToString("0.##", CultureInfo.InvariantCulture);
}
