using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Components;

/// <summary>A menu to choose several of.</summary>
public sealed partial class Choices
{
    /// <summary>Of the one that always has choices, and needs no emphasis for it.</summary>
    private const string ColumnsLabel = "Columns";

    [Parameter, EditorRequired]
    public string Label { get; set; } = "";

    [Parameter, EditorRequired]
    public IReadOnlyList<(string Key, string Label)> Options { get; set; } = [];

    [Parameter, EditorRequired]
    public IReadOnlyList<string> Chosen { get; set; } = [];

    [Parameter, EditorRequired]
    public Action<IReadOnlyList<string>> Changed { get; set; } = null!;

    private string Text => Chosen.Count == 0 ? Label : $"{Label}: {Chosen.Count}";

    private Dictionary<string, object?> Attributes(string key) =>
        new() { ["aria-checked"] = Chosen.Contains(key) ? "true" : "false", ["role"] = "menuitemcheckbox" };

    private void Toggle(string key) => Changed(Chosen.Contains(key) ? [.. Chosen.Where(one => one != key)] : [.. Chosen, key]);
}
