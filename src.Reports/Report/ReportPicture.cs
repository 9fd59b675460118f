using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Components;
using DQ.Reports.Pictures;

namespace DQ.Reports.Report;

/// <summary>A whole sheet of originals and one of reconstructions, inside the page.</summary>
/// <param name="Before">Originals, as a data address.</param>
/// <param name="After">Reconstructions, as a data address.</param>
/// <param name="Width">On the page, in pixels.</param>
/// <param name="Ratio">Width to height, as CSS says it.</param>
public sealed record ReportPicture(string Title, string Text, string Before, string After, int Width, string Ratio)
{
    /// <summary>Small images are shown this many times as large.</summary>
    private const int Zoom = 3;

    /// <summary>The full reconstruction and those from some levels; none where the run has no pictures.</summary>
    public static IReadOnlyList<ReportPicture> Of(ArtifactFolder folder, RunEntry run)
    {
        var set = SampleSets.Of(folder, run) is { } sets ? sets.Evaluated ?? Latest(folder, run, sets) : null;
        if (set?.Original is not { } original || Data(folder, set, original) is not { } before)
            return [];
        return
        [
            .. set
                .Record.Views.Where(view => view.Kind is SampleView.FullKind or SampleView.LevelsKind)
                .Select(view => (view, After: Data(folder, set, view)))
                .Where(pair => pair.After is not null)
                .Select(pair => new ReportPicture(
                    $"Reconstruction: {SampleModes.NameOf(pair.view)}",
                    $"{set.Record.Images.Count} images of the {set.Record.Split} split at step {set.Record.Step}; originals to the left of the handle.",
                    before,
                    pair.After!,
                    Math.Min(1200, set.Record.Columns * set.Record.Width * Zoom),
                    $"{set.Record.Columns * set.Record.Width}/{set.Rows * set.Record.Height}"
                )),
        ];
    }

    private static SampleSet? Latest(ArtifactFolder folder, RunEntry run, SampleSets sets) =>
        sets.Steps.Count > 0 ? SampleSets.At(folder, run, sets.Steps[^1], []) : null;

    private static string? Data(ArtifactFolder folder, SampleSet set, SampleView view) =>
        folder.Record(RunLayout.Runs, set.Run.Id, set.Folder, view.File) is { } path
            ? $"data:image/png;base64,{Convert.ToBase64String(File.ReadAllBytes(path))}"
            : null;
}
