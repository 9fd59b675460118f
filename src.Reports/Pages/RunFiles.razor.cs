using DQ.Reports.Catalog;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Pages;

/// <summary>Files of a run, to download.</summary>
public sealed partial class RunFiles
{
    private IReadOnlyList<RunFile> files = [];

    [Parameter, EditorRequired]
    public RunEntry Run { get; set; } = null!;

    [Inject]
    private ArtifactFolder Folder { get; set; } = null!;

    protected override void OnParametersSet() => files = RunFile.List(Folder, Run.Id);
}
