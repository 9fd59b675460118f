namespace DQ.Core.Artifacts;

/// <summary>Lets one process at a time change a file that several may.</summary>
internal static class FileGuard
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Waits for its turn, which ends when the result is disposed.</summary>
    /// <param name="path">Of an empty file, which is made.</param>
    /// <exception cref="IOException">The file can't be made, or another process holds it too long.</exception>
    public static FileStream Enter(string path)
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
