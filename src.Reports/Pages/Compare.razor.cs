using DQ.Reports.Catalog;
using DQ.Reports.Charts;
using DQ.Reports.Configuration;
using DQ.Reports.Metrics;
using Microsoft.AspNetCore.Components;
using static DQ.Reports.Urls.Links;

namespace DQ.Reports.Pages;

/// <summary>Runs beside one another.</summary>
public sealed partial class Compare
{
    /// <summary>More than these can't be told apart, nor read.</summary>
    public const int Most = 24;

    /// <summary>In the list of runs to add.</summary>
    private const int MostOffered = 500;

    private IReadOnlyList<RunEntry> runs = [];
    private IReadOnlyList<RunEntry> others = [];
    private IReadOnlyList<string> missing = [];
    private IReadOnlyList<CurvePlan> plans = [];
    private static readonly IReadOnlyList<(string, string)> Splits = [("validation", "validation"), ("test", "test")];

    private IReadOnlyList<string> datasets = [];
    private string data = "";
    private string rate = RatePlane.Uniform;
    private string leftOut = "";
    private PlaneSpec plane = RatePlane.Of([], [], "test");
    private string split = "test";
    private IReadOnlyList<RunAverage> averages = [];
    private IReadOnlyList<string> differing = [];
    private string average = "";
    private int asked;
    private int othersLeftOut;
    private string plannedFor = "";
    private bool planning;

    [Inject]
    private MetricsStore Metrics { get; set; } = null!;

    private CurveSettings Settings => CurveSettings.Of(Query);

    private string Sources => averages.Count > 0 ? CurveSource.Json(averages) : CurveSource.Json(runs);

    protected override void Update()
    {
        var byId = Catalog.Current.ById;
        asked = Query.All(Names.Run).Distinct().Count();
        var ids = Query.All(Names.Run).Distinct().Take(Most).ToArray();
        runs = [.. ids.Select(id => byId.GetValueOrDefault(id)).OfType<RunEntry>()];
        missing = [.. ids.Where(id => !byId.ContainsKey(id))];
        var addable = Catalog
            .Current.Runs.Where(run => !run.Annotation.Archived && run.Record is not null && !ids.Contains(run.Id))
            .ToArray();
        others = [.. addable.Take(MostOffered)];
        othersLeftOut = addable.Length - others.Count;
        average = Query[Names.Average] ?? "";
        averages = average.Length > 0 ? RunAverage.Of(runs, average) : [];
        differing = [.. ConfigDifference.Of([.. runs.Select(run => run.Record?.Config)]).Select(difference => difference.Key)];
        split = Query[Names.Split] is "validation" ? "validation" : "test";
        rate = Query[Names.Rate] is RatePlane.Empirical ? RatePlane.Empirical : RatePlane.Uniform;
        var current = Catalog.Current.Runs.Where(run => !run.Annotation.Archived && run.Evaluation is not null).ToArray();
        datasets = [.. current.Select(run => run.Dataset).Distinct().Order(StringComparer.Ordinal)];
        data = datasets.FirstOrDefault(one => one == Query[Names.Dataset]) ?? "";
        IReadOnlyList<RunEntry> placed = runs.Count > 0 ? [] : [.. current.Where(run => data.Length == 0 || run.Dataset == data)];
        plane = RatePlane.Of(runs, placed, split, rate);
        leftOut = RatePlane.LeftOut(runs.Concat(placed), split);
    }

    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        var wanted = string.Join(' ', runs.Select(run => $"{run.Id} {run.Version}"));
        if (planning || plannedFor == wanted)
            return;
        planning = true;
        var ids = runs.Select(run => run.Id).ToArray();
        var names = await Task.Run(() => ids.SelectMany(id => Metrics.Look(id, CurvePlan.Names) ?? []).ToHashSet());
        (planning, plannedFor, plans) = (false, wanted, CurvePlan.For(names, ids.Length > 1));
        StateHasChanged();
    }

    /// The colour of its line: an average's runs share one.
    private int Place(RunEntry run) =>
        (averages.Count > 0 ? averages.ToList().FindIndex(average => average.Runs.Contains(run)) : runs.ToList().IndexOf(run)) % 8;

    private void Choose(string? id, bool wanted)
    {
        if (!string.IsNullOrEmpty(id))
            Go(
                Query.With(Names.Run, wanted ? [.. Query.All(Names.Run), id] : Query.All(Names.Run).Where(one => one != id)),
                replace: false
            );
    }
}
