using DQ.Core.Artifacts;
using DQ.Reports.Catalog;

namespace DQ.Reports.Codebooks;

/// <summary>
/// The codebooks a page shows. They are read when the page asks for another run, split or level, and when one of their files changed,
/// but not whenever the page renders.
/// </summary>
public sealed class SeenCodebooks
{
    private (string Run, string? Split, int Level, FileStamp Record, FileStamp Tensors)? seen;

    /// <summary>Null where the run has none of that split and level, and where they can't be read.</summary>
    public CodebookView? View { get; private set; }

    /// <summary>Why they can't be read; null otherwise.</summary>
    public string? Problem { get; private set; }

    public void Look(ArtifactFolder folder, string run, string? split, int level)
    {
        var now = (run, split, level, Stamp(folder, run, RunLayout.Codebooks), Stamp(folder, run, CodebooksRecord.Tensors));
        if (now == seen)
            return;
        (seen, View, Problem) = (now, null, null);
        try
        {
            View = CodebookView.Of(folder, run, split, level);
        }
        catch (ArtifactException error)
        {
            Problem = folder.Short(error.Message);
        }
    }

    private static FileStamp Stamp(ArtifactFolder folder, string run, string file) =>
        FileStamp.Of(folder.Resolve(RunLayout.Runs, run, file));
}
