using DQ.Reports.Catalog;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Routing;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.JSInterop;

namespace DQ.Reports.Components.Layout;

/// <summary>Bar, sections, colours.</summary>
public sealed partial class MainLayout : IDisposable
{
    private bool dark;
    private ErrorBoundary? boundary;

    [CascadingParameter(Name = "StartsDark")]
    public bool StartsDark { get; set; }

    [Inject]
    private NavigationManager Navigation { get; set; } = null!;

    [Inject]
    private IJSRuntime Script { get; set; } = null!;

    [Inject]
    private ArtifactFolder Folder { get; set; } = null!;

    private string Here => Navigation.ToBaseRelativePath(Navigation.Uri).Split('#')[0];

    /// The pages of single runs belong to that section too.
    private string RunsClass => Here.StartsWith("runs/", StringComparison.Ordinal) || Here.StartsWith('?') ? "active" : "";

    protected override void OnInitialized()
    {
        dark = StartsDark;
        Navigation.LocationChanged += Recover;
    }

    private async Task Toggle()
    {
        dark = !dark;
        await Script.InvokeVoidAsync("dq.setTheme", dark ? "dark" : "light");
    }

    private void Recover(object? sender, LocationChangedEventArgs args)
    {
        boundary?.Recover();
        InvokeAsync(StateHasChanged);
    }

    public void Dispose() => Navigation.LocationChanged -= Recover;
}
