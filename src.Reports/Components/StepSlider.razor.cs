using System.Globalization;
using DQ.Reports.Text;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Components;

/// <summary>Chooses the evaluated model, or a step of training: their pictures are of different images.</summary>
public sealed partial class StepSlider
{
    /// <summary>Ascending.</summary>
    [Parameter, EditorRequired]
    public IReadOnlyList<long> Steps { get; set; } = [];

    /// <summary>Null for the evaluated model.</summary>
    [Parameter, EditorRequired]
    public long? Step { get; set; }

    /// <summary>Whether there is an evaluated model.</summary>
    [Parameter]
    public bool HasEnd { get; set; } = true;

    /// <summary>The step chosen as in URLs; null for the evaluated model.</summary>
    [Parameter, EditorRequired]
    public Action<string?> Chosen { get; set; } = null!;

    private int Place => Math.Max(0, Steps.ToList().IndexOf(Step ?? -1));

    private string Text => Show.Count(Step);

    private void Choose(string? place)
    {
        if (int.TryParse(place, CultureInfo.InvariantCulture, out var at) && at >= 0 && at < Steps.Count)
            Choose(at);
    }

    private void Choose(int place) => Chosen(Steps[place].ToString(CultureInfo.InvariantCulture));
}
