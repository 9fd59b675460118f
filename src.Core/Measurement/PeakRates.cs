using DQ.Core.Artifacts;
using static TorchSharp.torch;

namespace DQ.Core.Measurement;

/// <summary>Measures the peak speeds of this machine.</summary>
public static class PeakRates
{
    private const int Repetitions = 10;

    public static MachinePeaks Measure(Device device)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        const long size = 1024;
        var (left, right) = (randn(size, size, device: device), randn(size, size, device: device));
        var (maps, kernels) = (randn(32, 128, 16, 16, device: device), randn(128, 128, 3, 3, device: device));
        var (source, target) = (zeros(1 << 24, device: device), zeros(1 << 24, device: device));
        return new MachinePeaks(
            2.0 * size * size * size / Best(() => left.mm(right)),
            2.0 * maps.numel() * 128 * 9 / Best(() => nn.functional.conv2d(maps, kernels, padding: [1, 1])),
            2.0 * sizeof(float) * source.numel() / Best(() => target.copy_(source))
        );

        double Best(Action work)
        {
            return Enumerable.Range(0, Repetitions).Min(_ => Timing.Measure(device, 1, Scoped).MedianSeconds);

            void Scoped()
            {
                using var inner = NewDisposeScope();
                work();
            }
        }
    }
}
