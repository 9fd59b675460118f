namespace DQ.Reports.Catalog;

/// <summary>The artifacts folder, and the only way from a name in a URL to a file in it.</summary>
public sealed class ArtifactFolder(string root)
{
    /// <summary>JSON records above this are not read: ours are far smaller.</summary>
    public const long LargestRecordBytes = 64L << 20;

    /// <summary>Absolute; may itself be reached through links, may not exist yet.</summary>
    public string Root { get; } = Path.TrimEndingDirectorySeparator(Path.GetFullPath(root));

    /// <summary>The path of a file or folder below the root.</summary>
    /// <param name="parts">Relative to the root; each may hold several segments.</param>
    /// <returns>Null where there is nothing, where a segment is <c>.</c>, <c>..</c>, empty or hidden, or where a link leads outside.</returns>
    public string? Resolve(params ReadOnlySpan<string> parts)
    {
        var path = Root;
        foreach (var part in parts)
        foreach (var segment in part.Split('/'))
        {
            if (!IsPlain(segment))
                return null;
            path = Path.Combine(path, segment);
            if (LeadsOutside(path))
                return null;
        }
        return Path.Exists(path) ? path : null;
    }

    /// <summary>A record's path, where it is there, of a size to be read, and an ordinary file.</summary>
    /// <exception cref="Core.Artifacts.ArtifactException">It is far too large for what it should be.</exception>
    public string? Record(params ReadOnlySpan<string> parts)
    {
        if (Resolve(parts) is not { } path || new FileInfo(path) is not { Exists: true } file)
            return null;
        return file.Length <= LargestRecordBytes
            ? path
            : throw new Core.Artifacts.ArtifactException(
                $"{path}: expected at most {LargestRecordBytes >> 20} MiB, it has {file.Length >> 20} MiB"
            );
    }

    /// <summary>A message without the root's path: pages may be seen elsewhere.</summary>
    public string Short(string message) => message.Replace(Root + Path.DirectorySeparatorChar, "", StringComparison.Ordinal);

    private static bool IsPlain(string segment) =>
        segment.Length > 0 && segment[0] != '.' && segment.AsSpan().IndexOfAny("\\:\0") < 0 && !segment.Any(char.IsControl);

    private bool LeadsOutside(string path)
    {
        try
        {
            // a folder's own entry: what lies above it was looked at before
            FileSystemInfo entry = Directory.Exists(path) ? new DirectoryInfo(path) : new FileInfo(path);
            if (entry.LinkTarget is null)
                return false;
            var target = entry.ResolveLinkTarget(returnFinalTarget: true)?.FullName;
            return target is null || !target.StartsWith(Root + Path.DirectorySeparatorChar, StringComparison.Ordinal);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }
}
