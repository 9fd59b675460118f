using DQ.Core.Artifacts;
using DQ.Reports.Pictures;
using DQ.Reports.Urls;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Components;

/// <summary>One image beside what a model makes of it.</summary>
public sealed partial class SampleCard
{
    [Parameter, EditorRequired]
    public SampleSet Set { get; set; } = null!;

    [Parameter, EditorRequired]
    public SampleView View { get; set; } = null!;

    /// <summary>Of the image in the sheets.</summary>
    [Parameter, EditorRequired]
    public int Place { get; set; }

    /// <summary>One of <see cref="SampleModes"/>.</summary>
    [Parameter, EditorRequired]
    public string Mode { get; set; } = SampleModes.Slider;

    /// <summary>How much brighter the difference is shown; one of <see cref="SampleModes.Gains"/>.</summary>
    [Parameter]
    public string Gain { get; set; } = SampleModes.DefaultGain;

    private SampleImage Image => Set.Record.Images[Place];

    private string Name => SampleModes.NameOf(View);

    private string Ratio => $"aspect-ratio:{Set.Record.Width}/{Set.Record.Height}";

    /// Where its codes are.
    private string Link =>
        Links.Run(Set.Run.Id, Pages.RunTabs.Codebooks)
        + new Query().With(Links.Names.Image, Place.ToString(System.Globalization.CultureInfo.InvariantCulture))
        + "#codes";
}
