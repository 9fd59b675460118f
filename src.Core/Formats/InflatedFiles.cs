namespace DQ.Core.Formats;

/// <summary>A cache of the contents of the last two compressed files, since large arrays are read from beginning to end.</summary>
public sealed class InflatedFiles
{
    private const int Kept = 2;

    private readonly List<(object File, byte[] Bytes)> latest = [];

    /// <summary>The content of <paramref name="file"/>, unpacked by <paramref name="inflate"/> unless it is in the cache.</summary>
    internal byte[] Of(object file, Func<byte[]> inflate)
    {
        lock (latest)
        {
            var index = latest.FindIndex(entry => entry.File == file);
            if (index < 0)
            {
                if (latest.Count == Kept)
                    latest.RemoveAt(0);
                latest.Add((file, inflate()));
                index = latest.Count - 1;
            }
            return latest[index].Bytes;
        }
    }
}
