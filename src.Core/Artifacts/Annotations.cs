namespace DQ.Core.Artifacts;

/// <summary>Reads and changes <c>annotations.json</c> of an artifacts folder, which the site and <c>dq runs</c> share.</summary>
public static class Annotations
{
    public const string FileName = "annotations.json";

    /// <summary>The file whose holder may change the annotations; empty.</summary>
    private const string Guard = ".annotations.guard";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Annotations by run id; empty if there is no file.</summary>
    /// <exception cref="ArtifactException">The file is damaged, or has an unknown schema version.</exception>
    public static IReadOnlyDictionary<string, RunAnnotation> Read(string artifacts)
    {
        var path = Path.Combine(artifacts, FileName);
        return File.Exists(path) ? ArtifactJson.Read<AnnotationsRecord>(path).Runs : new Dictionary<string, RunAnnotation>();
    }

    /// <summary>Changes the annotation of one run. Only one process at a time does this, and the file is replaced completely.</summary>
    /// <returns>The new annotation.</returns>
    /// <exception cref="ArtifactException">The file is damaged, or has an unknown schema version; it is not changed.</exception>
    /// <exception cref="IOException">The file can't be written, or another process holds it too long.</exception>
    public static RunAnnotation Change(string artifacts, string run, Func<RunAnnotation, RunAnnotation> change)
    {
        using var guard = Enter(Path.Combine(artifacts, Guard));
        var runs = new SortedDictionary<string, RunAnnotation>(Read(artifacts).ToDictionary(), StringComparer.Ordinal);
        var changed = change(runs.GetValueOrDefault(run, RunAnnotation.None));
        if (changed.IsEmpty)
            runs.Remove(run);
        else
            runs[run] = changed;
        ArtifactJson.Write(Path.Combine(artifacts, FileName), new AnnotationsRecord { Runs = runs });
        return changed;
    }

    private static FileStream Enter(string path)
    {
        var until = DateTime.UtcNow + Patience;
        while (true)
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (File.Exists(path) && DateTime.UtcNow < until)
            {
                Thread.Sleep(20);
            }
    }
}
