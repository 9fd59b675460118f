using System.Diagnostics;

namespace DQ.Core.Artifacts;

/// <summary><c>lock.json</c> of a run: the process that works on it.</summary>
/// <param name="Schema">Version of the file format.</param>
/// <param name="ProcessId">Process of the owner on <paramref name="Host"/>.</param>
/// <param name="ProcessStartedUtc">Start of the process, because process ids are reused.</param>
/// <param name="Host">Machine name.</param>
/// <param name="HeartbeatUtc">Time of the owner's last heartbeat.</param>
/// <param name="Token">Drawn each time the lock is taken. An owner that reads another token has lost the lock.</param>
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

    /// <summary>Without a heartbeat for this long, an owner on another host is assumed dead.</summary>
    public static TimeSpan StaleAfter { get; } = TimeSpan.FromSeconds(90);

    /// <summary>The same owner with a heartbeat of this time.</summary>
    public LockRecord At(DateTime nowUtc) => this with { HeartbeatUtc = nowUtc };

    /// <summary>The owner of a run's folder, if there is one and it is alive.</summary>
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
            // the lock was released between the two lines above, or its writer died while writing
            return null;
        }
    }

    /// <summary>
    /// Whether the owner still works. On the same host the process is checked, because it may only be suspended; on another host the
    /// heartbeat.
    /// </summary>
    public bool HasLivingOwner(DateTime nowUtc)
    {
        if (!string.Equals(Host, Environment.MachineName, StringComparison.Ordinal))
            return nowUtc - HeartbeatUtc < StaleAfter;
        try
        {
            using var process = Process.GetProcessById(ProcessId);
            // the start is computed from clock ticks since boot, and differs slightly between readers
            return Math.Abs((process.StartTime.ToUniversalTime() - ProcessStartedUtc).TotalSeconds) < 2 && !IsZombie(ProcessId);
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException)
        {
            return false;
        }
    }

    /// One that has ended, and whose parent never asked how: in a container its entry may stay for good
    private static bool IsZombie(int process)
    {
        try
        {
            // "id (name) state …", and the name may hold anything
            var line = File.ReadAllText($"/proc/{process}/stat");
            return line.AsSpan(line.LastIndexOf(')') + 1).TrimStart() is ['Z' or 'X', ..];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false; // gone, or a system without /proc
        }
    }
}
