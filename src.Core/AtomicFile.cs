namespace DQ.Core;

/// <summary>Writes files that are complete or absent, whenever the process is killed.</summary>
public static class AtomicFile
{
    /// <summary>
    /// Writes a temporary sibling, flushes it to disk and renames it to <paramref name="path"/>, replacing an existing file. If
    /// <paramref name="content"/> or the disk fails, the file at <paramref name="path"/> does not change and the temporary file is removed.
    /// </summary>
    /// <exception cref="IOException">The folder is missing or not writable, the disk is full, or a file size limit is reached.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission to write there.</exception>
    public static void Write(string path, Action<Stream> content)
    {
        // in the same folder, so that the rename never crosses file systems
        var temporary = $"{path}.{Path.GetRandomFileName()}.tmp";
        try
        {
            Limited(
                path,
                () =>
                {
                    using var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16);
                    content(file);
                    file.Flush(flushToDisk: true);
                }
            );
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>Runs an action that writes to a file, and turns a limit on the size of files into an error like that of a full
    /// disk.</summary>
    /// <exception cref="IOException">The limit is reached.</exception>
    public static void Limited(string path, Action write)
    {
        try
        {
            write();
        }
        catch (ArgumentOutOfRangeException error) when (error.ParamName == "value")
        {
            // the exception that .NET throws for EFBIG
            throw new IOException($"{path}: {error.Message}", error);
        }
    }
}
