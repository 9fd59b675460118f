using System.Runtime.InteropServices;

namespace DQ.Core.Measurement;

/// <summary>Resident memory of this process at its peak, where the system tells (Linux).</summary>
public static class PeakMemory
{
    private const string Status = "/proc/self/status";

    /// <summary>Forgets the peak so far, and gives freed memory back to the system, so that growth shows.</summary>
    public static void Reset()
    {
        if (!File.Exists(Status))
            return;
        try
        {
            Trim(0);
        }
        catch (EntryPointNotFoundException) { } // another C library than glibc has none
        File.WriteAllText("/proc/self/clear_refs", "5"); // proc(5): sets VmHWM to the present resident size
    }

    /// <summary>Bytes since the last reset, or null where the system doesn't tell.</summary>
    public static long? Bytes() => Read("VmHWM:");

    /// <summary>Bytes now.</summary>
    public static long? ResidentBytes() => Read("VmRSS:");

    [DllImport("libc", EntryPoint = "malloc_trim")]
    private static extern int Trim(nuint pad);

    private static long? Read(string key) =>
        File.Exists(Status) && File.ReadLines(Status).FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal)) is { } line
            ? 1024 * long.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1])
            : null;
}
