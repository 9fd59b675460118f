using DQ.Core.Artifacts;

namespace DQ.Reports.Catalog;

/// <summary>Reads a run's folder into an entry. Whatever is wrong with one run stays with it.</summary>
public sealed class RunReader(ArtifactFolder folder)
{
    private static readonly string[] Watched =
    [
        RunLayout.Run,
        RunLayout.Evaluation,
        RunLayout.Metrics,
        RunLayout.Events,
        RunLayout.Codebooks,
        RunLayout.Density,
        RunLayout.Prior,
        RunLayout.Classification,
        RunLayout.Allocation,
        $"{RunLayout.Images}/{RunLayout.Samples}",
    ];

    /// <summary>What a folder's files look like from outside; equal stamps mean nothing new to read.</summary>
    public static long Stamp(string path)
    {
        var hash = new HashCode();
        foreach (var name in Watched)
            if (new FileInfo(Path.Combine(path, name)) is { Exists: true } file)
            {
                hash.Add(name);
                hash.Add(file.Length);
                hash.Add(file.LastWriteTimeUtc.Ticks);
            }
        // each is a folder that appears whole
        if (new DirectoryInfo(Path.Combine(path, RunLayout.Evaluations)) is { Exists: true } others)
            hash.Add(others.LastWriteTimeUtc.Ticks);
        return (uint)hash.ToHashCode();
    }

    /// <summary>The entry of a run; <paramref name="known"/> keeps what was read when only logs grew.</summary>
    public RunEntry Read(string id, string path, long stamp, RunAnnotation annotation, RunEntry? known)
    {
        var problems = new List<string>();
        var record = Try(() => Artifact<RunRecord>(id, RunLayout.Run), problems);
        if (record is null && problems.Count == 0)
            problems.Add($"{RunLayout.Run}: missing, or a link that leads outside of the artifacts folder");
        var evaluation = record is null ? null : Try(() => Artifact<EvaluationRecord>(id, RunLayout.Evaluation), problems);
        return new()
        {
            Id = id,
            Record = record,
            Evaluation = evaluation ?? (problems.Count == 0 ? null : known?.Evaluation),
            Status = record is null ? RunEntry.Damaged : RunStatus.Shown(path, record, DateTime.UtcNow),
            OtherEvaluations = record is null ? [] : [.. Others(id, problems)],
            Problems = [.. problems.Select(folder.Short)],
            Annotation = annotation,
            Version = stamp,
        };
    }

    private IEnumerable<OtherEvaluation> Others(string id, List<string> problems)
    {
        if (folder.Resolve(RunLayout.Runs, id, RunLayout.Evaluations) is not { } others)
            yield break;
        foreach (
            var name in Directory.EnumerateDirectories(others).Select(path => $"{RunLayout.Evaluations}/{Path.GetFileName(path)}").Order()
        )
        {
            var evaluation = Try(() => Artifact<EvaluationRecord>(id, $"{name}/{RunLayout.Evaluation}"), problems);
            var classification = Try(() => Artifact<ClassificationRecord>(id, $"{name}/{RunLayout.Classification}"), problems);
            foreach (var one in evaluation is null ? [] : OtherEvaluation.Of(evaluation))
                yield return one;
            foreach (var one in classification is null ? [] : OtherEvaluation.Of(classification))
                yield return one;
        }
    }

    private T? Artifact<T>(string id, string name)
        where T : class, IArtifact => folder.Record(RunLayout.Runs, id, name) is { } path ? ArtifactJson.Read<T>(path) : null;

    private static T? Try<T>(Func<T?> read, List<string> problems)
        where T : class
    {
        try
        {
            return read();
        }
        catch (ArtifactException problem)
        {
            problems.Add(problem.Message);
            return null;
        }
    }
}
