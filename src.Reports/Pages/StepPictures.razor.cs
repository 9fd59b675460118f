using System.Globalization;
using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Components;
using DQ.Reports.Pictures;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>What a run made of the same images as it trained, a column for a step.</summary>
public sealed partial class StepPictures
{
    /// <summary>Columns; of more steps as many are picked, evenly, the first and the last among them.</summary>
    private const int Most = 10;

    private IReadOnlyList<SampleSet> sets = [];
    private IReadOnlyList<(SampleImage Image, int Place)> images = [];
    private (string, long, int) readFor;

    [Parameter, EditorRequired]
    public RunEntry Run { get; set; } = null!;

    [Parameter, EditorRequired]
    public Query Query { get; set; } = null!;

    /// <summary>With pictures, ascending; at least one of them can be read.</summary>
    [Parameter, EditorRequired]
    public IReadOnlyList<long> Steps { get; set; } = [];

    /// <summary>Name of the view shown, one that the last step has.</summary>
    [Parameter, EditorRequired]
    public string ViewName { get; set; } = "";

    /// <summary>In the order wanted.</summary>
    [Parameter, EditorRequired]
    public IReadOnlyList<int> Places { get; set; } = [];

    [Inject]
    private ArtifactFolder Folder { get; set; } = null!;

    private string Ratio => $"aspect-ratio:{sets[^1].Record.Width}/{sets[^1].Record.Height}";

    protected override void OnParametersSet()
    {
        if (readFor != (Run.Id, Run.Version, Steps.Count))
        {
            readFor = (Run.Id, Run.Version, Steps.Count);
            sets =
            [
                .. Picked(Steps)
                    .Select(step => SampleSets.At(Folder, Run, step, []))
                    .OfType<SampleSet>()
                    .Where(set => set.Original is not null),
            ];
        }
        images = [.. Places.Select(place => (sets[^1].Record.Images[place], place))];
    }

    private string At(SampleSet set) =>
        Links.Run(Run.Id, RunTabs.Reconstructions)
        + Query.With(SampleModes.Parameter).With(Links.Names.Step, set.Record.Step.ToString(CultureInfo.InvariantCulture));

    private static IEnumerable<long> Picked(IReadOnlyList<long> steps) =>
        steps.Count <= Most ? steps : Enumerable.Range(0, Most).Select(i => steps[i * (steps.Count - 1) / (Most - 1)]);
}
