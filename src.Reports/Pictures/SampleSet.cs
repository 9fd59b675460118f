using DQ.Core.Artifacts;
using DQ.Reports.Catalog;
using DQ.Reports.Urls;

namespace DQ.Reports.Pictures;

/// <summary>Sheets of pictures of a run at one step.</summary>
/// <param name="Folder">Below the run's folder.</param>
public sealed record SampleSet(RunEntry Run, string Folder, SamplesRecord Record)
{
    /// <summary>More in a record than anyone looks at; a page of them would not be read.</summary>
    public const int MostImages = 512;

    public string Sheet(SampleView view) => Links.Picture(Run.Id, $"{Folder}/{view.File}", Run.Version);

    public SampleView? View(string name) => Record.Views.FirstOrDefault(view => view.Name == name);

    public SampleView? Original => Record.Views.FirstOrDefault(view => view.Kind == SampleView.OriginalKind);

    public SampleView? Full => Record.Views.FirstOrDefault(view => view.Kind == SampleView.FullKind);

    /// <summary>Rows of a sheet.</summary>
    public int Rows => (Record.Images.Count + Record.Columns - 1) / Record.Columns;
}

/// <summary>The pictures a run has: of its evaluation, and of steps of training.</summary>
/// <param name="Evaluated">Null before the evaluation, and where it can't be read.</param>
/// <param name="Steps">By step, ascending; the records are read when asked for.</param>
/// <param name="Problems">What can't be read, a line each.</param>
public sealed record SampleSets(SampleSet? Evaluated, IReadOnlyList<long> Steps, IReadOnlyList<string> Problems)
{
    private const int MostSteps = 10_000;

    public static SampleSets Of(ArtifactFolder folder, RunEntry run)
    {
        var problems = new List<string>();
        var evaluated = Read(folder, run, RunLayout.Images, problems);
        var steps =
            folder.Resolve(RunLayout.Runs, run.Id, RunLayout.Images, RunLayout.Steps) is { } path && Directory.Exists(path)
                ? Directory
                    .EnumerateDirectories(path)
                    .Take(MostSteps)
                    .Select(Path.GetFileName)
                    .Select(name => long.TryParse(name, System.Globalization.CultureInfo.InvariantCulture, out var step) ? step : -1)
                    .Where(step => step >= 0)
                    .Order()
                    .ToArray()
                : [];
        return new(evaluated, steps, problems);
    }

    /// <summary>Those of a step of training; null where there are none.</summary>
    public static SampleSet? At(ArtifactFolder folder, RunEntry run, long step, List<string> problems) =>
        Read(folder, run, $"{RunLayout.Images}/{RunLayout.Steps}/{step:D8}", problems);

    private static SampleSet? Read(ArtifactFolder folder, RunEntry run, string place, List<string> problems)
    {
        try
        {
            if (folder.Record(RunLayout.Runs, run.Id, place, RunLayout.Samples) is not { } path)
                return null;
            var record = ArtifactJson.Read<SamplesRecord>(path);
            if (record.Columns < 1 || record.Width < 1 || record.Height < 1 || record.Images.Count is 0 or > SampleSet.MostImages)
                throw new ArtifactException($"{path}: expected 1 to {SampleSet.MostImages} images of some size in at least one column");
            return new(run, place, record);
        }
        catch (ArtifactException problem)
        {
            problems.Add(folder.Short(problem.Message));
            return null;
        }
    }
}
