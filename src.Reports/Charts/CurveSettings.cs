using System.Globalization;
using DQ.Reports.Urls;

namespace DQ.Reports.Charts;

/// <summary>How curves are drawn, from the page's query.</summary>
/// <param name="Axis"><c>step</c>, <c>images_seen</c> or <c>seconds</c>.</param>
/// <param name="Smoothing">0 … 0.99.</param>
/// <param name="Zoom">The part of the axis that is shown, as <c>from,to</c>; null for all of it.</param>
public sealed record CurveSettings(string Axis, bool Log, double Smoothing, string? Zoom)
{
    public const double DefaultSmoothing = 0.6;

    /// <summary>The end of a zoom that goes as far as the curves do: no run has as many steps.</summary>
    public const string Open = "1000000000000";

    public static IReadOnlyList<(string Key, string Label)> Axes { get; } =
    [("step", "Steps"), ("images_seen", "Images"), ("seconds", "Time")];

    public static CurveSettings Of(Query query)
    {
        var axis = Axes.Select(axis => axis.Key).FirstOrDefault(key => key == query[Links.Names.Axis]) ?? "step";
        return new(
            axis,
            query.Has(Links.Names.Log),
            double.TryParse(query[Links.Names.Smoothing], CultureInfo.InvariantCulture, out var weight)
                ? Math.Clamp(weight, 0, 0.99)
                : DefaultSmoothing,
            ZoomOf(query[Links.Names.Zoom], axis)
        );
    }

    /// The address says of which axis it is, as in <c>step,100,400</c>: on another one it would mean something else.
    private static string? ZoomOf(string? said, string axis) =>
        said?.Split(',') is [var of, var from, var to]
        && of == axis
        && double.TryParse(from, CultureInfo.InvariantCulture, out var first)
        && double.TryParse(to, CultureInfo.InvariantCulture, out var last)
        && first >= 0
        && first < last
        && double.IsFinite(last)
            ? string.Create(CultureInfo.InvariantCulture, $"{first},{last}")
            : null;

    public static string DefaultText { get; } = DefaultSmoothing.ToString(CultureInfo.InvariantCulture);

    public string SmoothingText => Smoothing.ToString("0.##", CultureInfo.InvariantCulture);
}
