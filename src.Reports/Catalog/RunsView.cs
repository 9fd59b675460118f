using DQ.Reports.Statistics;
using DQ.Reports.Urls;
using static DQ.Reports.Urls.Links;

namespace DQ.Reports.Catalog;

/// <summary>What the table of runs shows: read from the page's query, and the only meaning that has.</summary>
public sealed record RunsView
{
    public const int PageSize = 50;
    public const string Started = "started";
    public const string NameKey = "name";

    /// <summary>What a table says of itself: as many as fit a screen.</summary>
    private const int DefaultColumns = 5;

    /// The most telling first.
    private static readonly IReadOnlyList<RunMetric> Telling =
    [
        .. (
            (string[])
                [
                    "test_reconstruction_nats_per_dim",
                    "test_total_empirical_bits_per_dim",
                    "test_code_rate_empirical_bits_per_dim",
                    "test_psnr_db",
                    "accuracy_percent",
                    "bits_per_image_uniform",
                    "test_perplexity",
                    "test_normalized_squared_error",
                ]
        )
            .Select(RunMetric.Find)
            .OfType<RunMetric>(),
    ];

    public string Search { get; init; } = "";
    public IReadOnlyList<string> Datasets { get; init; } = [];
    public IReadOnlyList<string> Methods { get; init; } = [];
    public IReadOnlyList<string> Statuses { get; init; } = [];
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>What runs made, as <see cref="RunEntry.Kind"/>.</summary>
    public IReadOnlyList<string> Stages { get; init; } = [];
    public bool Archived { get; init; }

    /// <summary>Key of a metric, <see cref="Started"/> or <see cref="NameKey"/>.</summary>
    public string Sort { get; init; } = Started;
    public bool Descending { get; init; } = true;
    public IReadOnlyList<RunMetric> Columns { get; init; } = [];

    /// <summary>Key of what rows are grouped by; empty for nothing.</summary>
    public string Group { get; init; } = "";

    /// <summary>Dotted key of the setting to average over; empty for single runs.</summary>
    public string Average { get; init; } = "";

    /// <summary>From 1.</summary>
    public int Page { get; init; } = 1;

    /// <param name="query">Of the page.</param>
    /// <param name="runs">All runs: where the query names no columns, those that some of them have.</param>
    public static RunsView Of(Query query, IReadOnlyList<RunEntry> runs)
    {
        var sort = query[Names.Sort] ?? $"-{Started}";
        return new()
        {
            Search = query[Names.Search] ?? "",
            Datasets = query.All(Names.Dataset),
            Methods = query.All(Names.Method),
            Statuses = query.All(Names.Status),
            Tags = query.All(Names.Tag),
            Stages = query.All(Names.Stage),
            Archived = query.Has(Names.Archived),
            Sort = sort.TrimStart('-'),
            Descending = sort.StartsWith('-'),
            Columns = query[Names.Columns] is { } chosen
                ? [.. chosen.Split(',').Select(RunMetric.Find).OfType<RunMetric>().DistinctBy(metric => metric.Key)]
                : Known(runs),
            Group = query[Names.Group] ?? "",
            Average = query[Names.Average] ?? "",
            Page = query.Number(Names.Page, 1, 1, 100_000),
        };
    }

    private static IReadOnlyList<RunMetric> Known(IReadOnlyList<RunEntry> runs)
    {
        var known = Telling.Where(metric => runs.Any(run => metric.Value(run) is not null)).Take(DefaultColumns).ToArray();
        return known.Length > 0 ? known : [.. Telling.Take(4)];
    }

    public bool IsFiltered => Search.Length > 0 || Datasets.Count + Methods.Count + Statuses.Count + Tags.Count + Stages.Count > 0;

    /// <summary>The runs to show, in order.</summary>
    public IReadOnlyList<RunEntry> Apply(IEnumerable<RunEntry> runs)
    {
        var search = RunSearch.Of(Search);
        var kept = runs.Where(run =>
            (Archived || !run.Annotation.Archived)
            && Any(Datasets, run.Dataset)
            && Any(Methods, run.Method)
            && Any(Statuses, run.Status)
            && Any(Stages, run.Kind)
            && Tags.All(run.Annotation.Tags.Contains)
            && search.Fits(run)
        );
        return Sort switch
        {
            Started => [.. Directed(kept, run => run.StartedUtc ?? DateTime.MinValue)],
            NameKey => [.. Directed(kept, run => run.Name, StringComparer.OrdinalIgnoreCase)],
            _ when RunMetric.Find(Sort) is { } metric =>
            [
                // runs without the number come last either way
                .. Directed(kept.OrderBy(run => metric.Value(run) is null), run => metric.Value(run) ?? 0),
            ],
            _ => [.. kept],
        };
    }

    /// <summary>Averages of runs that are already in order, themselves in the order of their means where a metric is sorted by.</summary>
    public IReadOnlyList<RunAverage> Averages(IReadOnlyList<RunEntry> sorted)
    {
        var averages = RunAverage.Of(sorted, Average);
        if (Sort is Started or NameKey || RunMetric.Find(Sort) is not { } metric)
            return averages;
        var means = averages.ToDictionary(average => average, average => Sample.Of(average.Runs.Select(metric.Value))?.Mean);
        var known = averages.OrderBy(average => means[average] is null);
        return [.. Descending ? known.ThenByDescending(average => means[average]) : known.ThenBy(average => means[average])];
    }

    private IEnumerable<RunEntry> Directed<T>(IEnumerable<RunEntry> runs, Func<RunEntry, T> key, IComparer<T>? comparer = null) =>
        (runs, Descending) switch
        {
            (IOrderedEnumerable<RunEntry> ordered, true) => ordered.ThenByDescending(key, comparer),
            (IOrderedEnumerable<RunEntry> ordered, false) => ordered.ThenBy(key, comparer),
            (_, true) => runs.OrderByDescending(key, comparer),
            _ => runs.OrderBy(key, comparer),
        };

    private static bool Any(IReadOnlyList<string> wanted, string value) => wanted.Count == 0 || wanted.Contains(value);
}
