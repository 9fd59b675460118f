using DQ.Reports.Catalog;
using Microsoft.AspNetCore.Components;

namespace DQ.Reports.Components;

/// <summary>What happened in a run that is worth seeing.</summary>
public sealed partial class RunEvents
{
    private RunEventLog events = RunEventLog.None;
    private (string, long) readFor;

    [Parameter, EditorRequired]
    public RunEntry Run { get; set; } = null!;

    [Inject]
    private ArtifactFolder Folder { get; set; } = null!;

    protected override void OnParametersSet()
    {
        if (readFor == (Run.Id, Run.Version))
            return;
        readFor = (Run.Id, Run.Version);
        events = RunEventLog.Read(Folder, Run.Id);
    }
}
