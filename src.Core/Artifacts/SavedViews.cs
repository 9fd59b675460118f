namespace DQ.Core.Artifacts;

/// <summary>Reads and changes <c>views.json</c> of an artifacts folder.</summary>
public static class SavedViews
{
    public const string FileName = "views.json";

    /// <summary>The file whose holder may change the views; empty.</summary>
    private const string Guard = ".views.guard";

    /// <summary>Sorted by name; empty if there is no file.</summary>
    /// <exception cref="ArtifactException">The file is damaged, or has an unknown schema version.</exception>
    public static IReadOnlyList<SavedView> Read(string artifacts)
    {
        var path = Path.Combine(artifacts, FileName);
        return File.Exists(path) ? ArtifactJson.Read<SavedViewsRecord>(path).Views : [];
    }

    /// <summary>Saves a view in place of the one of its name.</summary>
    /// <exception cref="ArgumentException">It is not valid; the message has what was expected.</exception>
    /// <exception cref="ArtifactException">The file is damaged, or has an unknown schema version; it is not changed.</exception>
    /// <exception cref="IOException">The file can't be written, or another process holds it too long.</exception>
    public static void Save(string artifacts, SavedView view)
    {
        var valid = view.Checked();
        Change(artifacts, views => views.Where(one => one.Name != valid.Name).Append(valid));
    }

    /// <summary>Forgets the view of this name, if there is one.</summary>
    /// <inheritdoc cref="Save"/>
    public static void Remove(string artifacts, string name) => Change(artifacts, views => views.Where(one => one.Name != name));

    private static void Change(string artifacts, Func<IEnumerable<SavedView>, IEnumerable<SavedView>> change)
    {
        using var guard = FileGuard.Enter(Path.Combine(artifacts, Guard));
        SavedView[] views = [.. change(Read(artifacts)).OrderBy(view => view.Name, StringComparer.Ordinal)];
        ArtifactJson.Write(Path.Combine(artifacts, FileName), new SavedViewsRecord { Views = views });
    }
}
