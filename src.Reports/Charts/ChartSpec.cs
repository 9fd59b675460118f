using System.Text.Json;
using System.Text.Json.Serialization;

namespace DQ.Reports.Charts;

/// <summary>What a chart shows, as data; how it is drawn is in <c>js/kinds/</c>, which says the same fields.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(BarsSpec), "bars")]
[JsonDerivedType(typeof(HeatmapSpec), "heatmap")]
[JsonDerivedType(typeof(PlaneSpec), "plane")]
[JsonDerivedType(typeof(LinesSpec), "lines")]
public abstract record ChartSpec
{
    // attributes are escaped by Razor: texts of runs stay texts
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    /// <summary>Named in exports and to screen readers.</summary>
    public required string Title { get; init; }

    public string ToJson() => JsonSerializer.Serialize(this, Options);
}

/// <param name="Values">One per label.</param>
public sealed record Bars(string Name, IReadOnlyList<double> Values);

public sealed record BarsSpec : ChartSpec
{
    public required IReadOnlyList<string> X { get; init; }
    public string? XName { get; init; }
    public required IReadOnlyList<Bars> Series { get; init; }

    /// <summary>Where a click on a bar leads; null for nowhere.</summary>
    public IReadOnlyList<string>? Hrefs { get; init; }
}

public sealed record HeatmapSpec : ChartSpec
{
    public required IReadOnlyList<string> X { get; init; }
    public required IReadOnlyList<string> Y { get; init; }
    public string? XName { get; init; }
    public string? YName { get; init; }

    /// <summary>By row, then column; null where there is no number.</summary>
    public required IReadOnlyList<IReadOnlyList<double?>> Values { get; init; }

    /// <summary>Ends of the scale of colours.</summary>
    public required double Low { get; init; }
    public required double High { get; init; }
    public string? Unit { get; init; }
}

/// <param name="Detail">A line more on hover.</param>
/// <param name="Href">Where a click leads.</param>
public sealed record PlanePoint(double X, double Y, string Name, string? Detail = null, string? Href = null);

/// <param name="Hollow">References rather than runs.</param>
public sealed record PlaneGroup(string Name, IReadOnlyList<PlanePoint> Points, bool Hollow = false);

/// <summary>A level line.</summary>
public sealed record PlaneLevel(double Y, string Name);

/// <summary>Points in a plane.</summary>
public sealed record PlaneSpec : ChartSpec
{
    public required string XName { get; init; }
    public required string YName { get; init; }
    public required IReadOnlyList<PlaneGroup> Groups { get; init; }

    /// <summary>Lines of equal x + y.</summary>
    public bool Diagonals { get; init; }

    /// <summary>What has no x, such as a classifier without codes.</summary>
    public IReadOnlyList<PlaneLevel>? Levels { get; init; }

    /// <summary>Said where there are no points.</summary>
    public string? EmptyText { get; init; }
}

/// <param name="Points">x, y and, where known, a deviation of y.</param>
/// <param name="Dashed">References rather than runs.</param>
/// <param name="Plain">Without a mark at every point.</param>
/// <param name="Color">Index of its colour; null for the next.</param>
public sealed record Line(string Name, IReadOnlyList<double?[]> Points, bool Dashed = false, bool Plain = false, int? Color = null);

public sealed record LineMark(double X, string Name);

public sealed record LinesSpec : ChartSpec
{
    public required string XName { get; init; }
    public required string YName { get; init; }

    /// <summary>Labels of the x axis, whose values then are their indices; null for a numeric axis.</summary>
    public IReadOnlyList<string>? X { get; init; }
    public required IReadOnlyList<Line> Series { get; init; }

    /// <summary>Upright lines, such as where the size of images changed.</summary>
    public IReadOnlyList<LineMark>? Marks { get; init; }
    public bool LogX { get; init; }
    public bool LogY { get; init; }
}
