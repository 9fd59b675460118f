using System.Diagnostics;
using static TorchSharp.torch;

namespace DQ.Core.Measurement;

/// <summary>The duration of a piece of work.</summary>
/// <param name="MedianSeconds">Median of the repetitions.</param>
/// <param name="SpreadSeconds">Difference between the third and the first quartile.</param>
/// <param name="Repetitions">Number of repetitions, without the warm-up.</param>
public sealed record Timing(double MedianSeconds, double SpreadSeconds, int Repetitions)
{
    /// <param name="seconds">One entry per repetition, in any order.</param>
    /// <exception cref="ArgumentException">There are no entries.</exception>
    public static Timing Of(IReadOnlyCollection<double> seconds)
    {
        if (seconds.Count == 0)
            throw new ArgumentException("expected at least one repetition", nameof(seconds));
        var sorted = seconds.Order().ToArray();
        return new(Quantile(sorted, 0.5), Quantile(sorted, 0.75) - Quantile(sorted, 0.25), sorted.Length);
    }

    /// <summary>Times <paramref name="work"/>, after a few runs without timing. On a GPU it waits until the device has finished.</summary>
    public static Timing Measure(Device device, int repetitions, Action work)
    {
        for (var warm = 0; warm < Math.Clamp(repetitions / 4, 1, 3); warm++)
            work();
        var clock = new StageClock(device);
        for (var repetition = 0; repetition < repetitions; repetition++)
            clock.Time(0, work);
        return clock.Timings.Single();
    }

    /// Interpolates linearly between the two nearest ranks
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
