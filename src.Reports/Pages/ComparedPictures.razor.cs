using System.Globalization;
using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Pictures;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>What several runs make of the same images, at one step of training or at the end.</summary>
public sealed partial class ComparedPictures
{
    private const int MostImages = 12;

    private IReadOnlyList<SampleSet> columns = [];
    private IReadOnlyList<SampleView> views = [];
    private IReadOnlyList<long> steps = [];
    private IReadOnlyList<int> images = [];
    private string view = "";
    private long? step;
    private bool differ;

    [Parameter, EditorRequired]
    public IReadOnlyList<RunEntry> Runs { get; set; } = [];

    [Parameter, EditorRequired]
    public Query Query { get; set; } = null!;

    [Parameter, EditorRequired]
    public Action<string, string?> Set { get; set; } = null!;

    [Inject]
    private ArtifactFolder Folder { get; set; } = null!;

    private string Ratio => $"aspect-ratio:{columns[0].Record.Width}/{columns[0].Record.Height}";

    protected override void OnParametersSet()
    {
        var sets = Runs.Select(run => (Run: run, Sets: SampleSets.Of(Folder, run))).ToArray();
        steps = [.. sets.SelectMany(one => one.Sets.Steps).Distinct().Order()];
        step =
            long.TryParse(Query[Links.Names.Step], CultureInfo.InvariantCulture, out var wanted) && steps.Contains(wanted) ? wanted : null;
        columns = [.. sets.Select(one => At(one.Run, one.Sets)).OfType<SampleSet>().Where(set => set.Original is not null)];
        views =
        [
            .. columns.Take(1).SelectMany(set => set.Record.Views).Where(one => one.Kind is SampleView.FullKind or SampleView.LevelsKind),
        ];
        view = views.FirstOrDefault(one => one.Name == Query[Links.Names.View])?.Name ?? views.FirstOrDefault()?.Name ?? "";
        images = [.. columns.Take(1).SelectMany(set => set.Record.Images).Select(image => image.Index).Distinct().Take(MostImages)];
        differ = columns.Select(set => set.Run.ImagesId).Distinct().Count() > 1;
    }

    /// Of a step, else of the last before it; the runs may have been sampled at other steps.
    private SampleSet? At(RunEntry run, SampleSets sets)
    {
        if (step is not { } wanted)
            return sets.Evaluated;
        var before = sets.Steps.Where(one => one <= wanted).ToArray();
        return before.Length == 0 ? null : SampleSets.At(Folder, run, before[^1], []);
    }

    /// Where the image is in the run's sheets: the same index of the same split of the same images.
    private int? PlaceOf(SampleSet set, int index)
    {
        if (set.Record.Split != columns[0].Record.Split || set.Run.ImagesId != columns[0].Run.ImagesId)
            return null;
        for (var place = 0; place < set.Record.Images.Count; place++)
            if (set.Record.Images[place].Index == index)
                return place;
        return null;
    }
}
