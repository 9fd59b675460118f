namespace DQ.Core;

/// <summary>Writes files that are complete or absent, whenever the process is killed.</summary>
public static class AtomicFile
{
    /// Temporaries being written; null once the process is ending, and then nothing is written any more.
    private static HashSet<string>? open = [];

    private static readonly Lock Gate = new();

    /// <summary>
    /// Removes what is half-written, because the process ends while others still write: their files never appear.
    /// </summary>
    public static void Abandon()
    {
        lock (Gate)
        {
            foreach (var temporary in open ?? [])
                File.Delete(temporary);
            open = null;
        }
    }

    /// <summary>
    /// Writes a temporary sibling, flushes it to disk and renames it to <paramref name="path"/>, replacing an existing file. If
    /// <paramref name="content"/> or the disk fails, the file at <paramref name="path"/> does not change and the temporary file is removed.
    /// </summary>
    /// <exception cref="IOException">The folder is missing or not writable, <paramref name="path"/> is a folder, a pipe or a device, the disk
    /// is full, or a file size limit is reached.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission to write there.</exception>
    public static void Write(string path, Action<Stream> content)
    {
        // renaming would put a file in the place of a pipe or a device
        if (RegularFile.WhyNot(path) is { } other)
            throw new IOException($"{path}: expected a file to write to, found {other}");
        // in the same folder, so that the rename never crosses file systems
        var temporary = $"{path}.{Path.GetRandomFileName()}.tmp";
        try
        {
            Limited(
                path,
                () =>
                {
                    using var file = Begin(temporary);
                    content(file);
                    file.Flush(flushToDisk: true);
                }
            );
            Settle(temporary, () => File.Move(temporary, path, overwrite: true));
        }
        catch
        {
            Settle(temporary, () => File.Delete(temporary));
            throw;
        }
    }

    private static FileStream Begin(string temporary)
    {
        lock (Gate)
        {
            (open ?? throw Ending()).Add(temporary);
            return new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16);
        }
    }

    private static void Settle(string temporary, Action act)
    {
        lock (Gate)
        {
            if (open is null)
                throw Ending();
            act();
            open.Remove(temporary);
        }
    }

    private static OperationCanceledException Ending() => new("the process is ending");

    /// <summary>Does what writes to a file; a limit on the size of files is then an error like a full disk.</summary>
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
