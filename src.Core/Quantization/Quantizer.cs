using DQ.Core.Parallel;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>One level's quantization of one batch.</summary>
/// <param name="Map">The quantized map (B, output channels, H, W), differentiable in the input map.</param>
/// <param name="Indices">Of the chosen codes (B, M, H, W), int64.</param>
/// <param name="LatentLoss">Scalar that pulls the input towards the (fixed) codes, unweighted: sum over codebooks of the mean squared
/// distance; 0 where nothing commits. A model's loss has it times β.</param>
/// <param name="Errors">Mean squared distance per codebook (M), detached.</param>
/// <param name="CodeLoss">Scalar that a quantizer adds to the model's loss for its codes' sake, weighted already: what codes learn by,
/// or what keeps them in use. Null where there is none.</param>
/// <param name="Distances">(B, M, H, W): the squared distance per channel whose mean is <paramref name="Errors"/>, at every position,
/// detached; null in training, which has no use for it.</param>
public sealed record Quantized(
    Tensor Map,
    Tensor Indices,
    Tensor LatentLoss,
    Tensor Errors,
    Tensor? CodeLoss = null,
    Tensor? Distances = null
)
{
    /// <summary>Hands all tensors to the enclosing dispose scope.</summary>
    public Quantized MoveToOuterDisposeScope() =>
        new(
            Map.MoveToOuterDisposeScope(),
            Indices.MoveToOuterDisposeScope(),
            LatentLoss.MoveToOuterDisposeScope(),
            Errors.MoveToOuterDisposeScope(),
            CodeLoss?.MoveToOuterDisposeScope(),
            Distances?.MoveToOuterDisposeScope()
        );
}

/// <summary>What every quantizer offers an autoencoder: a map in, a quantized map and its codes out.</summary>
/// <remarks>Axis legend: B batch, M codebooks, K codes per codebook, D code width, H W sides of the level's grid.</remarks>
public abstract class Quantizer : nn.Module
{
    protected Quantizer(string name)
        : base(name) { }

    /// <summary>A quantizer with M codebooks of K codes of width D; kinds that make their own codes have no use for a width.</summary>
    public static Quantizer Create(QuantizerSpec spec, int codebooks, int codeCount, int width) =>
        Quantizers.Find(spec.Kind) is { } kind
            ? kind.Create(spec, codebooks, codeCount, width)
            : throw new ArgumentException($"expected one of {string.Join(", ", Quantizers.Names)}, got '{spec.Kind}'", nameof(spec));

    /// <summary>Codebooks M.</summary>
    public abstract int Codebooks { get; }

    /// <summary>Codes per codebook K.</summary>
    public abstract int CodeCount { get; }

    /// <summary>Channels of the map it quantizes.</summary>
    public abstract int InputChannels { get; }

    /// <summary>Channels of the quantized map.</summary>
    public abstract int OutputChannels { get; }

    /// <summary>Multiply-adds to quantize one position: distances to all codes, or what takes their place.</summary>
    public virtual long MultiplyAddsPerPosition => 0;

    /// <summary>True when <see cref="Initialize"/> chooses its first codes.</summary>
    public virtual bool NeedsInitialization => false;

    /// <summary>Quantizes (B, input channels, H, W); in training mode remembers what its codes will learn from.</summary>
    /// <param name="map">Float.</param>
    /// <param name="moment">Where training is; evaluation does not depend on it.</param>
    /// <exception cref="ArgumentException">A map of other channels.</exception>
    public Quantized Quantize(Tensor map, TrainingMoment moment = default)
    {
        if (map.dim() != 4 || map.shape[1] != InputChannels)
            throw new ArgumentException($"expected a map (B, {InputChannels}, H, W), got ({string.Join(", ", map.shape)})", nameof(map));
        using var scope = NewDisposeScope();
        return QuantizeMap(map, moment).MoveToOuterDisposeScope();
    }

    /// <summary>The quantized map (B, output channels, H, W) that codes (B, M, H, W) stand for: in evaluation what
    /// <see cref="Quantize"/> gives along with them.</summary>
    /// <exception cref="ArgumentException">Codes of another shape, or such as there are not.</exception>
    public Tensor Embed(Tensor codes)
    {
        if (codes.dim() != 4 || codes.shape[1] != Codebooks)
            throw new ArgumentException($"expected codes (B, {Codebooks}, H, W), got ({string.Join(", ", codes.shape)})", nameof(codes));
        using var scope = NewDisposeScope();
        if (codes.numel() > 0 && codes.lt(Kept(0)).logical_or(codes.ge(Kept(CodeCount))).any().item<bool>())
            throw new ArgumentException(
                $"expected codes from 0 to {CodeCount - 1}, got {codes.min().item<long>()} to {codes.max().item<long>()}",
                nameof(codes)
            );
        return EmbedCodes(codes).MoveToOuterDisposeScope();
    }

    /// <summary>Chooses the first codes from maps (B, input channels, H, W) of the first batches, where there are any to choose.</summary>
    /// <param name="maps">This rank's.</param>
    /// <param name="seed">Of the choice.</param>
    /// <param name="sharing">How the batches lie on several ranks; null in one process.</param>
    public virtual void Initialize(IReadOnlyList<Tensor> maps, long seed, Sharing? sharing = null) { }

    /// <summary>What was collected for <see cref="Learn"/> and has to be summed over all ranks before; empty where nothing was.</summary>
    public virtual IReadOnlyList<Tensor> Collected => [];

    /// <summary>Ends an optimizer step: codes that learn otherwise than by gradient learn from what was quantized since the last call.</summary>
    /// <param name="seed">Of the run.</param>
    /// <param name="step">The step that ends; with the seed it determines every random choice.</param>
    /// <returns>Revived codes per codebook.</returns>
    public virtual long[] Learn(long seed, long step) => new long[Codebooks];

    /// <summary>Ends an optimizer step that was skipped: what was quantized since the last call is forgotten.</summary>
    public virtual void Forget() { }

    /// <summary>Quantizes without gradients or learning: (B, input channels, H, W) to (B, output channels, H, W).</summary>
    public Tensor Assigned(Tensor map)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var wasTraining = training;
        eval();
        try
        {
            return Quantize(map).Map.MoveToOuterDisposeScope();
        }
        finally
        {
            train(wasTraining);
        }
    }

    /// <summary>Squared differences (B, M, D, H, W) to their means over channels (B, M, H, W) in evaluation, to null in training.</summary>
    protected Tensor? Distances(Tensor squares) => training ? null : squares.detach().mean([2]);

    /// <summary><see cref="Quantize"/> of a map of the right shape, inside a dispose scope.</summary>
    protected abstract Quantized QuantizeMap(Tensor map, TrainingMoment moment);

    /// <summary><see cref="Embed"/> of codes of the right shape, inside a dispose scope.</summary>
    protected abstract Tensor EmbedCodes(Tensor codes);
}
