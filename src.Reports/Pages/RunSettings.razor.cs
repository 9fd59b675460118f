using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Configuration;
using DQ.Reports.Text;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>What a run was made with.</summary>
public sealed partial class RunSettings
{
    private IReadOnlyList<ConfigValue> values = [];
    private IReadOnlyList<RunEntry> children = [];
    private int differing;

    /// <summary>In the query.</summary>
    private const string Only = "only";
    private const string One = "1";

    [Parameter, EditorRequired]
    public RunEntry Run { get; set; } = null!;

    [Parameter, EditorRequired]
    public Query Query { get; set; } = null!;

    [Parameter, EditorRequired]
    public Action<string, string?> Set { get; set; } = null!;

    [Inject]
    private RunCatalog Catalog { get; set; } = null!;

    private bool OnlyDiffering => Query.Has(Only);

    protected override void OnParametersSet()
    {
        values = Run.Record is { } record ? ConfigKeys.Of(record.Config) : [];
        differing = values.Count(value => value.Differs);
        children =
        [
            .. Catalog.Current.Runs.Where(other =>
                other.Record?.Parents.Any(parent => parent.Kind == "run" && parent.Id == Run.Id) ?? false
            ),
        ];
    }

    private static IEnumerable<(string Name, string Value)> Environment(RunRecord record) =>
        [
            ("DQ", record.Software.Dq),
            ("TorchSharp", record.Software.TorchSharp),
            ("libtorch", record.Software.LibTorch),
            (".NET", record.Software.Runtime),
            ("System", record.Software.System),
            ("Device", $"{record.Device}, {record.Threads} threads"),
            ("Seed", Show.Number(record.Seed, "0")),
            ("Parameters", Show.Count(record.Trained?.Parameters)),
            ("Images seen", Show.Count(record.Trained?.ImagesSeen)),
            (
                "Taken up again at steps",
                record.ResumedAtSteps.Count == 0 ? "never" : string.Join(", ", record.ResumedAtSteps.Select(step => Show.Count(step)))
            ),
            ("Last change", Show.Time(record.UpdatedUtc)),
        ];
}
