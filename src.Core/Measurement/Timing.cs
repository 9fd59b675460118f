using System.Diagnostics;
using static TorchSharp.torch;

namespace DQ.Core.Measurement;

/// <summary>How long a piece of work takes.</summary>
/// <param name="MedianSeconds">Of the repetitions.</param>
/// <param name="SpreadSeconds">From the first to the third quartile.</param>
/// <param name="Repetitions">Counted ones; warm-up is not.</param>
public sealed record Timing(double MedianSeconds, double SpreadSeconds, int Repetitions)
{
    /// <param name="seconds">One entry per repetition, in any order.</param>
    /// <exception cref="ArgumentException">There are none.</exception>
    public static Timing Of(IReadOnlyCollection<double> seconds)
    {
        if (seconds.Count == 0)
            throw new ArgumentException("expected at least one repetition", nameof(seconds));
        var sorted = seconds.Order().ToArray();
        return new(Quantile(sorted, 0.5), Quantile(sorted, 0.75) - Quantile(sorted, 0.25), sorted.Length);
    }

    /// <summary>Times <paramref name="work"/>, after running it uncounted a few times; on a GPU until the device is done.</summary>
    public static Timing Measure(Device device, int repetitions, Action work)
    {
        for (var warm = 0; warm < Math.Clamp(repetitions / 4, 1, 3); warm++)
            work();
        var clock = new StageClock(device);
        for (var repetition = 0; repetition < repetitions; repetition++)
            clock.Time(0, work);
        return clock.Timings.Single();
    }

    /// Linear between the two nearest ranks
    private static double Quantile(double[] sorted, double share)
    {
        var place = share * (sorted.Length - 1);
        var below = (int)place;
        return below + 1 < sorted.Length ? sorted[below] + (place - below) * (sorted[below + 1] - sorted[below]) : sorted[below];
    }
}

/// <summary>Collects the times of the stages of repeated work; stages count from 0.</summary>
internal sealed class StageClock(Device device)
{
    private readonly List<List<double>> seconds = [];

    public IReadOnlyList<Timing> Timings => [.. seconds.Select(Timing.Of)];

    public void Time(int stage, Action work)
    {
        Finish();
        var started = Stopwatch.GetTimestamp();
        work();
        Finish();
        while (seconds.Count <= stage)
            seconds.Add([]);
        seconds[stage].Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
    }

    /// Work on a GPU is only queued when the call returns
    private void Finish()
    {
        if (device.type == TorchSharp.DeviceType.CUDA)
            cuda.synchronize(device);
    }
}
