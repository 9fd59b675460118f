using TorchSharp.Modules;
using static TorchSharp.torch;

namespace DQ.Core.Classification;

/// <summary>The running means and variances of a model's batch normalizations, which every forward pass changes, even if its step is
/// skipped later.</summary>
internal sealed class BatchStatistics : IDisposable
{
    private readonly Tensor[] statistics;
    private readonly Tensor[] kept;

    public BatchStatistics(nn.Module model)
    {
        statistics = [.. model.modules().OfType<BatchNorm2d>().SelectMany(norm => norm.buffers())];
        kept = [.. statistics.Select(value => value.clone().DetachFromDisposeScope())];
    }

    /// <summary>Saves the present values.</summary>
    public void Keep() => Copy(statistics, kept);

    /// <summary>Restores the saved values.</summary>
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
