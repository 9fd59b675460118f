using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Chains;
using DQ.Reports.Components;
using DQ.Reports.Text;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>All chains: those recorded as one, and runs that were continued by hand.</summary>
public sealed partial class Chains
{
    private IReadOnlyList<ChainEntry> entries = [];
    private IReadOnlyList<RunChain> others = [];

    [Inject]
    private RecordCache Records { get; set; } = null!;

    protected override void Update()
    {
        entries = ChainEntry.All(Records);
        var recorded = entries.SelectMany(entry => entry.Runs).ToHashSet(StringComparer.Ordinal);
        others = [.. RunChain.All(Catalog.Current).Where(chain => !recorded.Contains(chain.Id))];
    }

    private RunEntry? Last(ChainRecord chain) =>
        chain.Stages.LastOrDefault() is { } stage ? Catalog.Current.ById.GetValueOrDefault(stage.Run) : null;

    private static string End(ChainStageRecord? stage) =>
        Show.Number(stage?.Points.Select(point => point.ReconstructionNatsPerDim).LastOrDefault());

    private static RenderFragment Mark(RunEntry run) =>
        builder =>
        {
            builder.OpenComponent<StatusMark>(0);
            builder.AddComponentParameter(1, nameof(StatusMark.Status), run.Status);
            builder.CloseComponent();
        };
}
