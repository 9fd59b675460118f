using System.Globalization;
using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Components;
using DQ.Reports.Pictures;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>What a run makes of images.</summary>
public sealed partial class RunPictures
{
    private readonly List<string> problems = [];
    private SampleSets? sets;
    private SampleSet? set;
    private SampleView? view;
    private IReadOnlyList<SampleView> views = [];
    private IReadOnlyList<long> steps = [];
    private IReadOnlyList<int> places = [];
    private long? step;
    private string mode = SampleModes.Slider;
    private string order = "";
    private string gain = SampleModes.DefaultGain;
    private (string, long) readFor;

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
        problems.Clear();
        if (sets is null || readFor != (Run.Id, Run.Version))
            (sets, readFor) = (SampleSets.Of(Folder, Run), (Run.Id, Run.Version));
        problems.AddRange(sets.Problems);
        steps = sets.Steps;
        step =
            long.TryParse(Query[Links.Names.Step], CultureInfo.InvariantCulture, out var wanted) && steps.Contains(wanted) ? wanted : null;
        if (step is null && sets.Evaluated is null && steps.Count > 0)
            step = steps[^1];
        mode = SampleModes.All.FirstOrDefault(known => known.Key == Query[SampleModes.Parameter]).Key ?? SampleModes.Slider;
        // the pictures of training are of other images than the evaluation's
        if (mode == SampleModes.Steps && steps.Count > 0)
            step = steps[^1];
        set = step is { } at ? SampleSets.At(Folder, Run, at, problems) : sets.Evaluated;
        views = [.. (set?.Record.Views ?? []).Where(one => one.Kind != SampleView.OriginalKind)];
        view = views.FirstOrDefault(one => one.Name == Query[Links.Names.View]) ?? set?.Full ?? views.FirstOrDefault();
        order = Query[Links.Names.Order] is "worst" or "best" ? Query[Links.Names.Order]! : "";
        gain = SampleModes.Gains.FirstOrDefault(one => one.Key == Query[SampleModes.Gain]).Key ?? SampleModes.DefaultGain;
        places = Ordered();
    }

    private int[] Ordered()
    {
        var all = Enumerable.Range(0, set?.Record.Images.Count ?? 0);
        double Quality(int place) => view?.PsnrDb is { } psnr && place < psnr.Count ? psnr[place] : 0;
        return order switch
        {
            "worst" => [.. all.OrderBy(Quality)],
            "best" => [.. all.OrderByDescending(Quality)],
            _ => [.. all],
        };
    }

    /// Why they are here, where they are in the order they were chosen in.
    private IEnumerable<IGrouping<string, int>> Groups() =>
        places.GroupBy(place =>
            order.Length > 0
                ? ""
                : set!.Record.Images[place].Selection switch
                {
                    "worst" => "Worst of the split, by PSNR",
                    "best" => "Best of the split, by PSNR",
                    _ => "First of the split",
                }
        );
}
