using System.Globalization;
using DQ.Reports.Text;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Components;

/// <summary>Chooses a step of training, or the evaluated model after the last.</summary>
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

    private int Place => Step is { } step ? Steps.ToList().IndexOf(step) : Steps.Count;

    private string Text => Step is { } step ? Show.Count(step) : "evaluated";

    private void Choose(string? place)
    {
        if (int.TryParse(place, CultureInfo.InvariantCulture, out var at) && at >= 0)
            Chosen(at < Steps.Count ? Steps[at].ToString(CultureInfo.InvariantCulture) : null);
    }
}
