using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using Microsoft.AspNetCore.Components;
using MudBlazor;

namespace DQ.Reports.Components;

/// <summary>Changes what is said of a run; runs themselves are only read.</summary>
public sealed partial class AnnotationDialog
{
    private string tags = "";
    private string note = "";
    private bool archived;
    private string? problem;

    [CascadingParameter]
    private IMudDialogInstance? Dialog { get; set; }

    [Parameter, EditorRequired]
    public RunEntry Run { get; set; } = null!;

    [Inject]
    private ArtifactFolder Folder { get; set; } = null!;

    [Inject]
    private RunCatalog Catalog { get; set; } = null!;

    protected override void OnInitialized() =>
        (tags, note, archived) = (string.Join(", ", Run.Annotation.Tags), Run.Annotation.Note, Run.Annotation.Archived);

    private async Task Save()
    {
        try
        {
            var wanted = tags.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            await Task.Run(() =>
                Annotations.Change(Folder.Root, Run.Id, said => said.Tagged(wanted, said.Tags.Except(wanted)).Noted(note).Filed(archived))
            );
            await Catalog.Refresh();
            Dialog?.Close();
        }
        catch (Exception error) when (error is ArgumentException or ArtifactException or IOException or UnauthorizedAccessException)
        {
            problem = error.Message;
        }
    }
}
