using System.Globalization;
using System.Text;
using DQ.Reports.Text;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Components;

/// <summary>A curve the size of a word: no axes, only its shape. Fifty of them are on a page, too many for the library of charts.</summary>
public sealed partial class Sparkline
{
    /// <summary>Null before they are known; fewer than two draw nothing.</summary>
    [Parameter, EditorRequired]
    public IReadOnlyList<double>? Values { get; set; }

    private string? Path => Values is { Count: > 1 } values ? Draw(values) : null;

    private string Label => Values is { Count: > 1 } values ? $"loss from {Show.Number(values[0])} to {Show.Number(values[^1])}" : "";

    private static string Draw(IReadOnlyList<double> values)
    {
        var (low, high) = (values.Min(), values.Max());
        var text = new StringBuilder();
        for (var i = 0; i < values.Count; i++)
            text.Append(
                CultureInfo.InvariantCulture,
                $"{(i == 0 ? 'M' : 'L')}{96.0 * i / (values.Count - 1):0.#} {22 - 20 * (values[i] - low) / Math.Max(high - low, 1e-300):0.#}"
            );
        return text.ToString();
    }
}
