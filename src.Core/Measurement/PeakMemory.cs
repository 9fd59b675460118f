using System.Runtime.InteropServices;

namespace DQ.Core.Measurement;

/// <summary>Peak resident memory of this process, if the system reports it (Linux).</summary>
public static class PeakMemory
{
    private const string Status = "/proc/self/status";

    /// <summary>Resets the peak, and returns freed memory to the system, so that growth is visible.</summary>
    public static void Reset()
    {
        if (!File.Exists(Status))
            return;
        try
        {
            Trim(0);
        }
        catch (EntryPointNotFoundException) { } // C libraries other than glibc lack it
        File.WriteAllText("/proc/self/clear_refs", "5"); // proc(5): sets VmHWM to the present resident size
    }

    /// <summary>Peak in bytes since the last reset; null if the system does not report it.</summary>
    public static long? Bytes() => Read("VmHWM:");

    /// <summary>Resident memory now, in bytes.</summary>
    public static long? ResidentBytes() => Read("VmRSS:");

    [DllImport("libc", EntryPoint = "malloc_trim")]
    private static extern int Trim(nuint pad);

    private static long? Read(string key) =>
        File.Exists(Status) && File.ReadLines(Status).FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal)) is { } line
            ? 1024 * long.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1])
            : null;
}
