using System.Reflection;
using System.Text;
using DQ.Reports.Catalog;
using DQ.Reports.Charts;
using DQ.Reports.Metrics;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Report;

/// <summary>The story of some runs on one page that needs nothing else.</summary>
public sealed partial class ReportPage
{
    [Parameter, EditorRequired]
    public IReadOnlyList<RunEntry> Runs { get; set; } = [];

    [Parameter, EditorRequired]
    public MetricsStore Log { get; set; } = null!;

    /// <summary>By run.</summary>
    [Parameter, EditorRequired]
    public IReadOnlyDictionary<string, IReadOnlyList<ReportPicture>> Pictures { get; set; } = null!;

    /// <summary>By run.</summary>
    [Parameter, EditorRequired]
    public IReadOnlyDictionary<string, IReadOnlyList<ChartSpec>> Codebooks { get; set; } = null!;

    [Parameter]
    public DateTime Now { get; set; } = DateTime.UtcNow;

    private string Title => Runs.Count == 1 ? Runs[0].Name : string.Join(", ", Runs.Select(run => run.Name).Distinct());

    private static string Version =>
        typeof(ReportPage).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    private IReadOnlyList<CurvePlan> Plans =>
        CurvePlan.For(Runs.SelectMany(run => Log.Look(run.Id, CurvePlan.Names) ?? []).ToHashSet(), Runs.Count > 1);

    private PlaneSpec Plane => RatePlane.Of(Runs, [], "test") is { Groups.Count: > 0 } plane ? plane : RatePlane.Of(Runs, [], "validation");

    /// The plan's series of every run; strings in it are escaped so that none can end the element.
    private string SeriesOf(CurvePlan plan)
    {
        var parts = Runs.Select(run =>
            Log.Look(
                run.Id,
                tables =>
                    Encoding.UTF8.GetString(MetricsJson.Of(tables, 0, 0, name => IsAxis(name) || plan.Keys.Any(key => Fits(name, key.Key))))
            ) ?? "{}"
        );
        return $"[{string.Join(',', parts)}]";
    }

    private static bool IsAxis(string name) => name == "step";

    private static bool Fits(string name, string key) =>
        name == key || (key.EndsWith('.') && name.StartsWith(key, StringComparison.Ordinal));

    private static MarkupString Raw(string json) => new(json);
}
