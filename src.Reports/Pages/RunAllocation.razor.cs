using System.Globalization;
using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Charts;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>Bits of feature channels, and what they cost in the network's output.</summary>
public sealed partial class RunAllocation
{
    private const string Average = "bits";
    private static readonly IReadOnlyList<(string, string)> Orders = [("sorted", "Most bits first"), ("index", "By index")];

    private AllocationRecord? record;
    private string? problem;
    private AllocationPoint? point;
    private bool sorted = true;

    [Parameter, EditorRequired]
    public RunEntry Run { get; set; } = null!;

    [Parameter, EditorRequired]
    public Query Query { get; set; } = null!;

    [Parameter, EditorRequired]
    public Action<string, string?> Set { get; set; } = null!;

    [Inject]
    private ArtifactFolder Folder { get; set; } = null!;

    protected override void OnParametersSet()
    {
        (record, problem, point) = (null, null, null);
        sorted = Query[Links.Names.Order] != "index";
        try
        {
            if (Folder.Record(RunLayout.Runs, Run.Id, RunLayout.Allocation) is { } path)
                record = ArtifactJson.Read<AllocationRecord>(path);
        }
        catch (ArtifactException error)
        {
            problem = error.Message;
        }
        var points = record?.Points ?? [];
        // the greedy allocation in the middle of the curve says most at first sight
        var method = Query[Links.Names.Method] ?? "greedy";
        var average = Query[Average] ?? "4";
        point =
            points.FirstOrDefault(one => one.Method == method && Text(one.AverageBits) == average)
            ?? points.LastOrDefault(one => one.Method == method)
            ?? points.LastOrDefault();
    }

    private IReadOnlyList<(string, string)> Averages() =>
        [.. record!.Points.Select(one => one.AverageBits).Distinct().Order().Select(bits => (Text(bits), Text(bits)))];

    private IReadOnlyList<(string, string)> MethodOptions() => [.. AllocationCharts.Methods(record!).Select(name => (name, name))];

    private static string Text(double bits) => bits.ToString(CultureInfo.InvariantCulture);
}
