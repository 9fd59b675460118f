using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>What a classifier gets right, what it takes for what, and what its codes cost beside others'.</summary>
public sealed partial class RunClassification
{
    private ClassificationRecord? record;
    private SplitClassification? split;
    private IReadOnlyList<(string, string)> splits = [];
    private IReadOnlyList<RunEntry> others = [];
    private string chosen = "";
    private string? problem;

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
        (record, split, problem) = (null, null, null);
        try
        {
            if (Folder.Record(RunLayout.Runs, Run.Id, RunLayout.Classification) is { } path)
                record = ArtifactJson.Read<ClassificationRecord>(path);
        }
        catch (ArtifactException error)
        {
            problem = error.Message;
        }
        splits = record is null ? [] : [.. record.Splits.Keys.Order(StringComparer.Ordinal).Select(name => (name, name))];
        chosen = Query[Links.Names.Split] ?? (record?.Splits.ContainsKey("test") == true ? "test" : splits.FirstOrDefault().Item1 ?? "");
        split = record?.Splits.GetValueOrDefault(chosen);
        others =
        [
            .. Catalog
                .Current.Runs.Where(run =>
                    run.Classifier?.Classification is not null && run.Dataset == Run.Dataset && !run.Annotation.Archived
                )
                .OrderByDescending(run => run.Classifier!.Classification!.Accuracy)
                .Take(500),
        ];
    }
}
