using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Components;

/// <summary>
/// A box whose text is the browser's: what is typed while an answer is on its way is never overwritten by it. Only a text that comes from
/// elsewhere, as by going back, makes a new box.
/// </summary>
public sealed partial class SearchBox : IDisposable
{
    /// Keys that come together are one question.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    private string text = "";
    private string first = "";
    private int made;
    private int typed;
    private bool asking;

    [Parameter, EditorRequired]
    public string Text { get; set; } = "";

    [Parameter, EditorRequired]
    public Action<string> Changed { get; set; } = null!;

    [Parameter, EditorRequired]
    public string Label { get; set; } = "";

    [Parameter]
    public string Hint { get; set; } = "";

    /// <summary>More of it, on hover.</summary>
    [Parameter]
    public string? Help { get; set; }

    [Inject]
    private TimeProvider Clock { get; set; } = null!;

    protected override void OnParametersSet()
    {
        if (asking || Text == text)
            return;
        (text, first) = (Text, Text);
        made++;
    }

    private async Task Type(ChangeEventArgs args)
    {
        text = args.Value?.ToString() ?? "";
        var turn = ++typed;
        asking = true;
        await Task.Delay(Pause, Clock);
        if (turn != typed)
            return;
        asking = false;
        Changed(text);
    }

    /// A page that was left asks nothing more.
    public void Dispose() => typed++;
}
