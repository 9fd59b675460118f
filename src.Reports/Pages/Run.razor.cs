using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Components;
using DQ.Reports.Text;
using Microsoft.AspNetCore.Components;
using MudBlazor;

namespace DQ.Reports.Pages;

/// <summary>One run.</summary>
public sealed partial class Run
{
    private static readonly DialogOptions Options = new() { CloseButton = true, CloseOnEscapeKey = true };

    private RunEntry? run;
    private string tab = RunTabs.Overview;

    [Parameter]
    public string Id { get; set; } = "";

    [Parameter]
    public string? Tab { get; set; }

    [Inject]
    private IDialogService Dialogs { get; set; } = null!;

    protected override void Update()
    {
        run = Catalog.Current.ById.GetValueOrDefault(Id);
        tab = Tab ?? RunTabs.Overview;
    }

    private IEnumerable<string> Facts(RunRecord record) =>
        (
            (string[])
                [
                    run!.Kind,
                    run.Method switch
                    {
                        "" => "",
                        "none" => "not quantized",
                        var method => $"{Show.Words(method)} quantizer",
                    },
                    Show.Words(run.Likelihood),
                    Show.Words(run.Dataset),
                    $"seed {record.Seed}",
                    $"started {Show.Time(run.StartedUtc)}",
                    record.TrainingSeconds > 0 ? $"trained for {Show.Duration(record.TrainingSeconds)}" : "",
                ]
        ).Where(fact => fact.Length > 0);

    private Task Annotate() =>
        Dialogs.ShowAsync<AnnotationDialog>(
            "Tags and note",
            new DialogParameters<AnnotationDialog> { { dialog => dialog.Run, run } },
            Options
        );
}
