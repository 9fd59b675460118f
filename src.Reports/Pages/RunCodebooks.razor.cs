using System.Globalization;
using DQ.Core.Artifacts;
using DQ.Core.Formats;
using DQ.Reports.Catalog;
using DQ.Reports.Charts;
using DQ.Reports.Codebooks;
using DQ.Reports.Text;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>What a run's codebooks learned.</summary>
public sealed partial class RunCodebooks
{
    private const string With = "with";
    private static readonly IReadOnlyList<(string, string)> UsageOrders = [("sorted", "Most used first"), ("index", "By index")];

    private readonly List<string> problems = [];
    private CodebookView? view;
    private CodebookView? otherView;
    private RunEntry? other;
    private string? otherProblem;
    private IReadOnlyList<RunEntry> others = [];
    private IReadOnlyList<(string, string)> splits = [];
    private IReadOnlyList<CodebookEvaluation> evaluated = [];
    private IReadOnlyList<CodebookAblation> ablations = [];
    private CurveSettings curves = CurveSettings.Of(new());
    private IReadOnlyList<CurvePlan> plans = [];
    private int level;
    private int book;
    private bool sorted = true;

    [Parameter, EditorRequired]
    public RunEntry Run { get; set; } = null!;

    [Parameter, EditorRequired]
    public Query Query { get; set; } = null!;

    [Parameter, EditorRequired]
    public Action<string, string?> Set { get; set; } = null!;

    [Inject]
    private ArtifactFolder Folder { get; set; } = null!;

    [Inject]
    private RunCatalog Catalog { get; set; } = null!;

    protected override void OnParametersSet()
    {
        problems.Clear();
        level = Query.Number(Links.Names.Level, 0, 0, 63);
        view = Try(() => CodebookView.Of(Folder, Run.Id, Query[Links.Names.Split] ?? "test", level), problems.Add);
        level = view?.Level.Level ?? level;
        book = Query.Number(Links.Names.Codebook, 0, 0, Math.Max(0, (view?.Level.Codebooks ?? 64) - 1));
        sorted = Query[Links.Names.Order] != "index";
        splits = view is null ? [] : [.. view.Record.Splits.Keys.Order(StringComparer.Ordinal).Select(name => (name, name))];
        evaluated = Run.Split(view?.Split ?? "")?.Levels.FirstOrDefault(one => one.Level == level)?.Codebooks ?? [];
        ablations = [.. (view?.Record.Ablation?.Codebooks ?? []).Where(one => one.Level == level)];
        curves = CurveSettings.Of(Query);
        plans = [CurvePlan.Dead(level), CurvePlan.Revived(level), CurvePlan.Perplexity(level)];
        others =
        [
            .. Catalog.Current.Runs.Where(run => run.Id != Run.Id && run.Evaluation is not null && !run.Annotation.Archived).Take(500),
        ];
        other = Query[With] is { } id ? Catalog.Current.ById.GetValueOrDefault(id) : null;
        otherProblem = null;
        otherView = other is null
            ? null
            : Try(() => CodebookView.Of(Folder, other.Id, view?.Split, level), problem => otherProblem = problem);
    }

    private T? Try<T>(Func<T?> read, Action<string> problem)
        where T : class
    {
        try
        {
            return read();
        }
        catch (ArtifactException error)
        {
            problem(Folder.Short(error.Message));
            return null;
        }
    }

    private string Here(string name, string value) => Links.Run(Run.Id, RunTabs.Codebooks) + Query.With(name, value);

    /// Codes that stand anywhere in the split; null where they were not counted.
    private IReadOnlySet<int>? Used =>
        view?.Histogram is { } histogram
            ? Enumerable.Range(0, view.Level.Codes).Where(code => histogram.At(book)[code] > 0).ToHashSet()
            : null;

    /// The same scale for both, so that shades compare.
    private double Scale(StoredArray<double> own) => Math.Max(1e-9, own.Values.Concat(otherView?.MutualInformation?.Values ?? []).Max());

    private string Lost(int codebook) =>
        ablations.FirstOrDefault(one => one.Codebook == codebook) switch
        {
            null => Show.Nothing,
            { AddedNatsPerDim: { } nats } => Show.Number(nats),
            var one => Show.Number(one.LostPsnrDb, "0.00"),
        };

    private IReadOnlyList<(string, string)> LevelOptions() =>
        [
            .. Enumerable
                .Range(0, view!.Levels)
                .Select(at =>
                    (
                        Text(at),
                        at == 0 ? "0 (bottom)"
                        : at == view.Levels - 1 ? $"{at} (top)"
                        : Text(at)
                    )
                ),
        ];

    private IReadOnlyList<(string, string)> BookOptions() =>
        [.. Enumerable.Range(0, view!.Level.Codebooks).Select(at => (Text(at), Text(at)))];

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
