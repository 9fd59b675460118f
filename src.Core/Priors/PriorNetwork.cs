using TorchSharp.Modules;
using TorchSharp.Utils;
using static DQ.Core.Native.HeldOperations;
using static TorchSharp.torch;

namespace DQ.Core.Priors;

/// <summary>
/// The probability of an image's codes: levels top down, positions in raster order, codebooks in order, each code given those before
/// it. Axes: B batch, M codebooks, H W rows and columns of a level's grid, K codes of a codebook, P = B·H·W positions.
/// </summary>
/// <remarks>
/// Autoregressive over a hierarchy of codes as in VQ-VAE-2 (Razavi, van den Oord, Vinyals 2019, §3.2). Deviation: no masked
/// convolutions and no attention, but one small network that reads a position's neighbours, like the context head for pixels. So
/// its integer form (<see cref="FrozenPrior"/>) needs nothing but products and tables.
/// </remarks>
public sealed class PriorNetwork : nn.Module
{
    [ComponentName(Name = "levels")]
    private readonly ModuleList<PriorLevelNetwork> levels;

    public PriorNetwork(PriorSpec spec)
        : base(nameof(PriorNetwork))
    {
        Spec = spec;
        levels = new([.. Enumerable.Range(0, spec.Levels.Count).Select(level => new PriorLevelNetwork(spec, level))]);
        RegisterComponents();
    }

    public PriorSpec Spec { get; }

    public long ParameterCount => parameters().Sum(parameter => parameter.numel());

    /// <summary>−ln p of codes, summed over images and positions, for each level and codebook.</summary>
    /// <param name="codes">(B, M, H, W) int64 per level, bottom first.</param>
    /// <returns>(M) float32 per level, bottom first, with gradients.</returns>
    /// <exception cref="ArgumentException">The codes have other levels or codebooks.</exception>
    public IReadOnlyList<Tensor> Nats(IReadOnlyList<Tensor> codes)
    {
        if (codes.Count != levels.Count)
            throw new ArgumentException($"expected codes of {levels.Count} levels, got {codes.Count}", nameof(codes));
        foreach (var (level, each) in codes.Index())
            if (each.dim() != 4 || each.shape[1] != Spec.Levels[level].Codebooks)
                throw new ArgumentException(
                    $"level {level}: expected codes (B, {Spec.Levels[level].Codebooks}, H, W), got ({string.Join(", ", each.shape)})",
                    nameof(codes)
                );
        using var scope = NewDisposeScope();
        return [.. levels.Select((level, number) => level.Nats(codes[number], [.. codes.Skip(number + 1)]).MoveToOuterDisposeScope())];
    }

    /// <summary>−ln p of codes, mean over all of them: a scalar with a gradient.</summary>
    /// <param name="codes">As above.</param>
    public Tensor MeanNats(IReadOnlyList<Tensor> codes)
    {
        using var scope = NewDisposeScope();
        var sum = Nats(codes).Select(level => level.sum()).Aggregate((sum, level) => sum.Plus(level));
        return (sum / Native.Scalars.Kept((double)codes.Sum(level => level.numel()))).MoveToOuterDisposeScope();
    }

    /// <summary>The trained weights as plain numbers.</summary>
    public PriorWeights Weights() => new(Spec, [.. levels.Select(level => level.Weights())]);
}
