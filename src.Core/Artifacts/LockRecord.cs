using System.Diagnostics;

namespace DQ.Core.Artifacts;

/// <summary><c>lock.json</c> of a run: who works on it.</summary>
/// <param name="Schema">Version of this form.</param>
/// <param name="ProcessId">Process of the owner on <paramref name="Host"/>.</param>
/// <param name="ProcessStartedUtc">Its start: process ids are used again.</param>
/// <param name="Host">Machine name.</param>
/// <param name="HeartbeatUtc">When the owner last showed that it is alive.</param>
/// <param name="Token">Drawn each time the lock is taken: an owner that finds another one has lost it.</param>
public sealed record LockRecord(
    int Schema,
    int ProcessId,
    DateTime ProcessStartedUtc,
    string Host,
    DateTime HeartbeatUtc,
    string Token = ""
) : IArtifact
{
    public static int CurrentSchema => 1;

    /// <summary>Time between two heartbeats.</summary>
    public static TimeSpan Interval { get; } = TimeSpan.FromSeconds(10);

    /// <summary>Without a heartbeat for this long, an owner on another host counts as gone.</summary>
    public static TimeSpan StaleAfter { get; } = TimeSpan.FromSeconds(90);

    /// <summary>The same owner, alive at this time.</summary>
    public LockRecord At(DateTime nowUtc) => this with { HeartbeatUtc = nowUtc };

    /// <summary>The owner of a run's folder, if there is one and it lives.</summary>
    public static LockRecord? LivingOwner(string folder, DateTime nowUtc)
    {
        var path = Path.Combine(folder, RunLayout.Lock);
        if (!File.Exists(path))
            return null;
        try
        {
            var owner = ArtifactJson.Read<LockRecord>(path);
            return owner.HasLivingOwner(nowUtc) ? owner : null;
        }
        catch (ArtifactException)
        {
            // released between the two lines above, or written by a process that died doing so
            return null;
        }
    }

    /// <summary>
    /// Whether the owner still works. On its own host the process decides, as it may merely be suspended; elsewhere the heartbeat.
    /// </summary>
    public bool HasLivingOwner(DateTime nowUtc)
    {
        if (!string.Equals(Host, Environment.MachineName, StringComparison.Ordinal))
            return nowUtc - HeartbeatUtc < StaleAfter;
        try
        {
            using var process = Process.GetProcessById(ProcessId);
            // the start is computed from clock ticks since boot and differs a little from reader to reader
            return Math.Abs((process.StartTime.ToUniversalTime() - ProcessStartedUtc).TotalSeconds) < 2;
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException)
        {
            return false;
        }
    }
}
