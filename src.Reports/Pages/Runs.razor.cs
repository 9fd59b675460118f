using DQ.Reports.Catalog;
using DQ.Reports.Metrics;
using DQ.Reports.Text;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;
using static DQ.Reports.Urls.Links;

namespace DQ.Reports.Pages;

/// <summary>All runs.</summary>
public sealed partial class Runs
{
    private const string One = "1";
    private static readonly IReadOnlyList<(string, string)> columns =
    [
        .. RunSetting.Offered.Concat(RunMetric.All).Select(metric => (metric.Key, metric.FullTitle)),
    ];

    private static readonly IReadOnlyList<string> averaged =
    [
        .. RunSetting.Offered.Select(setting => setting.Key[RunSetting.Prefix.Length..]),
    ];

    private readonly Dictionary<string, (long Version, Spark Spark)> sparks = new(StringComparer.Ordinal);
    private IReadOnlyList<string> chosen = [];
    private RunsView view = new();
    private IReadOnlyList<RunEntry> shown = [];
    private IReadOnlyList<RunGroup> groups = [];
    private IReadOnlyList<(string, string)> datasets = [];
    private IReadOnlyList<(string, string)> methods = [];
    private IReadOnlyList<(string, string)> statuses = [];
    private IReadOnlyList<(string, string)> tags = [];
    private IReadOnlyList<(string, string)> stages = [];
    private IReadOnlyList<RunAverage> averages = [];
    private IReadOnlyList<string> problems = [];
    private CatalogSnapshot? optionsOf;
    private int pages;
    private bool drawing;

    [Inject]
    private MetricsStore Metrics { get; set; } = null!;

    [Inject]
    private RecordCache Records { get; set; } = null!;

    [Inject]
    private ArtifactFolder Folder { get; set; } = null!;

    private string Count =>
        shown.Count == Catalog.Current.Runs.Count
            ? Show.Count(shown.Count)
            : $"{Show.Count(shown.Count)} of {Show.Count(Catalog.Current.Runs.Count)}";

    /// What the browser remembers of this page: js/remember.js.
    private static readonly string[] remembered = [Names.Columns, Names.Sort, Names.Group, Names.Average];

    private bool HasOwnView => remembered.Any(name => Query[name] is not null);

    private void ShowDefault() => Go(remembered.Aggregate(Query, (query, name) => query.With(name)).With(Names.Page));

    protected override void Update()
    {
        view = RunsView.Of(Query, Catalog.Current.Runs);
        chosen = [.. Query.All(Names.Pick).Distinct()];
        var snapshot = Catalog.Current;
        if (!ReferenceEquals(optionsOf, snapshot))
        {
            datasets = Options(snapshot.Runs.Select(run => run.Dataset));
            methods = Options(snapshot.Runs.Select(run => run.Method));
            statuses = Options(snapshot.Runs.Select(run => run.Status));
            tags = Options(snapshot.Runs.SelectMany(run => run.Annotation.Tags));
            stages = Options(snapshot.Runs.Select(run => run.Kind));
            optionsOf = snapshot;
        }
        shown = view.Apply(snapshot.Runs);
        problems = [.. RunSearch.Of(view.Search).ProblemsWith(snapshot.Runs)];
        averages = view.Average.Length > 0 ? view.Averages(shown) : [];
        var rows = view.Average.Length > 0 ? averages.Count : shown.Count;
        pages = (rows + RunsView.PageSize - 1) / RunsView.PageSize;
        view = view with { Page = Math.Clamp(view.Page, 1, Math.Max(1, pages)) };
        var all = view.Average.Length > 0 ? [] : RunGroups.Of(shown, view.Group, snapshot, Records);
        groups = RunGroups.Page(all, (view.Page - 1) * RunsView.PageSize, RunsView.PageSize);
    }

    /// Curves come after the table: the numbers are there at once, whatever the logs weigh.
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (drawing)
            return;
        var due = groups
            .SelectMany(group => group.Runs)
            .Where(run => !sparks.TryGetValue(run.Id, out var spark) || spark.Version != run.Version)
            .ToArray();
        if (due.Length == 0)
            return;
        drawing = true;
        var drawn = await Task.Run(() => due.Select(run => (run, Spark: Spark.Of(run, Metrics))).ToArray());
        foreach (var (run, spark) in drawn)
            sparks[run.Id] = (run.Version, spark);
        drawing = false;
        StateHasChanged();
    }

    private Spark? SparkOf(RunEntry run) => sparks.TryGetValue(run.Id, out var drawn) ? drawn.Spark : null;

    /// The log is ahead of the last checkpoint.
    private long StepsDone(RunEntry run) => Math.Max(run.Record!.StepsDone, Math.Clamp(SparkOf(run)?.Step ?? 0, 0, run.Record.Steps));

    private static IReadOnlyList<(string, string)> Options(IEnumerable<string> values) =>
        [
            .. values
                .Where(value => value.Length > 0)
                .CountBy(value => value)
                .OrderByDescending(pair => pair.Value)
                .ThenBy(pair => pair.Key, StringComparer.Ordinal)
                .Select(pair => (pair.Key, $"{Show.Words(pair.Key)} ({Show.Count(pair.Value)})")),
        ];

    private void Filter(string name, string? value) => Go(Query.With(name, value).With(Names.Page));

    private void Filter(string name, IReadOnlyList<string> values) => Go(Query.With(name, values).With(Names.Page));

    private void ChooseColumns(IReadOnlyList<string> keys)
    {
        // in the order of the menu; what the address alone named comes last
        var ordered = columns.Select(column => column.Item1).Where(keys.Contains).Concat(keys).Distinct();
        Go(Query.With(Names.Columns, keys.Count == 0 ? "none" : string.Join(',', ordered)));
    }

    private void Choose(string id, bool wanted) =>
        Go(Query.With(Names.Pick, Query.All(Names.Pick).Where(one => one != id).Concat(wanted ? [id] : [])));

    private void Choose(RunAverage average, bool wanted)
    {
        string[] ids = [.. average.Runs.Select(run => run.Id)];
        Go(Query.With(Names.Pick, Query.All(Names.Pick).Except(ids).Concat(wanted ? ids : [])));
    }

    private string PageLink(int page) =>
        Links.Runs + Query.With(Names.Page, page.ToString(System.Globalization.CultureInfo.InvariantCulture));
}
