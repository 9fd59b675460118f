namespace DQ.Core.Formats;

/// <summary>The contents of the compressed files looked at last, two of them: large arrays are read from their beginning to their end.</summary>
public sealed class InflatedFiles
{
    private const int Kept = 2;

    private readonly List<(object File, byte[] Bytes)> latest = [];

    /// <summary>The content of <paramref name="file"/>, unpacked by <paramref name="inflate"/> unless it is still here.</summary>
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
