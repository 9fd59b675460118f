using TorchSharp.Modules;
using static TorchSharp.torch;

namespace DQ.Core.Classification;

/// <summary>The running means and variances of a model's batch normalizations, which a pass changes whether or not its step is skipped.</summary>
internal sealed class BatchStatistics : IDisposable
{
    private readonly Tensor[] statistics;
    private readonly Tensor[] kept;

    public BatchStatistics(nn.Module model)
    {
        statistics = [.. model.modules().OfType<BatchNorm2d>().SelectMany(norm => norm.buffers())];
        kept = [.. statistics.Select(value => value.clone().DetachFromDisposeScope())];
    }

    /// <summary>Keeps what they are now.</summary>
    public void Keep() => Copy(statistics, kept);

    /// <summary>Brings back what was kept.</summary>
    public void Restore() => Copy(kept, statistics);

    public void Dispose()
    {
        foreach (var value in kept)
            value.Dispose();
    }

    private static void Copy(Tensor[] from, Tensor[] to)
    {
        using var _ = no_grad();
        for (var index = 0; index < from.Length; index++)
            to[index].copy_(from[index]);
    }
}
