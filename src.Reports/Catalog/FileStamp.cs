namespace DQ.Reports.Catalog;

/// <summary>What a file looks like from outside; equal stamps mean nothing to read again.</summary>
public readonly record struct FileStamp(long Length, DateTime WrittenUtc)
{
    /// <summary>Of no file where there is none.</summary>
    public static FileStamp Of(string? path) =>
        path is not null && new FileInfo(path) is { Exists: true } file ? new(file.Length, file.LastWriteTimeUtc) : default;
}
