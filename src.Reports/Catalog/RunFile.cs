using DQ.Core.Artifacts;

namespace DQ.Reports.Catalog;

/// <param name="Path">Below the run's folder, with slashes.</param>
public sealed record RunFile(string Path, long Bytes, DateTime ChangedUtc)
{
    public const int Most = 2000;

    private static readonly EnumerationOptions Ordinary = new()
    {
        RecurseSubdirectories = true,
        IgnoreInaccessible = true,
        MaxRecursionDepth = 6,
        // links are not followed, hidden files not served
        AttributesToSkip = FileAttributes.Hidden | FileAttributes.System | FileAttributes.ReparsePoint,
    };

    /// <summary>Those of a run, by path; at most <see cref="Most"/>.</summary>
    public static IReadOnlyList<RunFile> List(ArtifactFolder folder, string run)
    {
        if (folder.Resolve(RunLayout.Runs, run) is not { } root)
            return [];
        try
        {
            return
            [
                .. new DirectoryInfo(root)
                    .EnumerateFiles("*", Ordinary)
                    .Take(Most)
                    .Select(file => new RunFile(
                        System.IO.Path.GetRelativePath(root, file.FullName).Replace('\\', '/'),
                        file.Length,
                        file.LastWriteTimeUtc
                    ))
                    .OrderBy(file => file.Path, StringComparer.Ordinal),
            ];
        }
        catch (IOException)
        {
            return []; // the run was deleted a moment ago
        }
    }
}
