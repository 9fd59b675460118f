using System.Text.Json;
using DQ.Core.Artifacts;

namespace DQ.Reports.Catalog;

/// <summary>The latest events of a run.</summary>
/// <param name="Events">The latest first.</param>
/// <param name="Left">Older ones that are not here.</param>
public sealed record RunEventLog(IReadOnlyList<EventRecord> Events, long Left)
{
    private const int Most = 200;

    /// <summary>Only the end of a longer file is read.</summary>
    private const int MostBytes = 1 << 20;

    public static RunEventLog None { get; } = new([], 0);

    public static RunEventLog Read(ArtifactFolder folder, string run)
    {
        // a named pipe has no length, and would not be opened before somebody writes to it
        if (folder.Resolve(RunLayout.Runs, run, RunLayout.Events) is not { } path || new FileInfo(path).Length == 0)
            return None;
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var cut = stream.Length > MostBytes;
            if (cut)
                stream.Seek(-MostBytes, SeekOrigin.End);
            using var reader = new StreamReader(stream);
            if (cut)
                reader.ReadLine();
            var lines = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
            var events = lines.Reverse().Select(Parse).OfType<EventRecord>().ToArray();
            return new([.. events.Take(Most)], events.Length - Math.Min(events.Length, Most) + (cut ? 1 : 0));
        }
        catch (IOException)
        {
            return None;
        }
    }

    private static EventRecord? Parse(string line)
    {
        try
        {
            return JsonSerializer.Deserialize<EventRecord>(line, ArtifactJson.Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
