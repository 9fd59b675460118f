namespace DQ.Core;

/// <summary>Files that are there whole or not at all, whenever the process is killed.</summary>
public static class AtomicFile
{
    /// <summary>
    /// Writes a temporary sibling, flushes it to disk and renames it to <paramref name="path"/>, replacing what is there.
    /// When <paramref name="content"/> or the disk fails, <paramref name="path"/> stays as it was and the temporary is removed.
    /// </summary>
    /// <exception cref="IOException">The folder is missing or not writable, the disk is full, or a file size limit is reached.</exception>
    /// <exception cref="UnauthorizedAccessException">No permission to write there.</exception>
    public static void Write(string path, Action<Stream> content)
    {
        // in the same folder, so that the rename never crosses file systems
        var temporary = $"{path}.{Path.GetRandomFileName()}.tmp";
        try
        {
            using (var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16))
            {
                content(file);
                file.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error)
        {
            File.Delete(temporary);
            // what .NET makes of EFBIG, a limit on the size of files
            if (error is ArgumentOutOfRangeException { ParamName: "value" })
                throw new IOException($"{path}: {error.Message}", error);
            throw;
        }
    }
}
