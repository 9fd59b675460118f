using DQ.Core.Native;
using DQ.Core.Parallel;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>One level's quantization of one batch.</summary>
/// <param name="Map">The quantized map (B, output channels, H, W), differentiable in the input map.</param>
/// <param name="Indices">Indices of the chosen codes (B, M, H, W), int64.</param>
/// <param name="LatentLoss">Scalar that pulls the input towards the (fixed) codes: the sum over codebooks of the mean squared distance, or
/// 0 if the quantizer has no commitment loss. It is unweighted; a model's loss has it times β.</param>
/// <param name="Errors">Mean squared distance per codebook (M), detached.</param>
/// <param name="CodeLoss">Scalar that a quantizer adds to the model's loss for its codes, with its weight: codes learn by it, or it keeps
/// them in use. Null if there is none.</param>
/// <param name="Distances">(B, M, H, W): the squared distance per channel at every position, whose mean is <paramref name="Errors"/>;
/// detached. Null in training, which does not need it.</param>
public sealed record Quantized(
    Tensor Map,
    Tensor Indices,
    Tensor LatentLoss,
    Tensor Errors,
    Tensor? CodeLoss = null,
    Tensor? Distances = null
)
{
    /// <summary>Moves all tensors to the enclosing dispose scope.</summary>
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

/// <summary>The base of all quantizers: maps a feature map to a quantized map and its code indices.</summary>
/// <remarks>Axis legend: B batch, M codebooks, K codes per codebook, D code width, H W height and width of the level's grid.</remarks>
public abstract class Quantizer : nn.Module
{
    protected Quantizer(string name)
        : base(name) { }

    /// <summary>A quantizer with M codebooks of K codes of width D. Kinds that make their own codes do not use the width.</summary>
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

    /// <summary>Multiply-adds to quantize one position: the distances to all codes, or the computation that replaces them.</summary>
    public virtual long MultiplyAddsPerPosition => 0;

    /// <summary>True when <see cref="Initialize"/> chooses its first codes.</summary>
    public virtual bool NeedsInitialization => false;

    /// <summary>Quantizes (B, input channels, H, W); in training mode it also collects the statistics that its codes learn from.</summary>
    /// <param name="map">Float.</param>
    /// <param name="moment">The step and micro-batch of training; evaluation does not depend on it.</param>
    /// <exception cref="ArgumentException">The map has another number of channels.</exception>
    public Quantized Quantize(Tensor map, TrainingMoment moment = default)
    {
        if (map.dim() != 4 || map.shape[1] != InputChannels)
            throw new ArgumentException($"expected a map (B, {InputChannels}, H, W), got ({string.Join(", ", map.shape)})", nameof(map));
        using var scope = NewDisposeScope();
        using var float32 = Autocast.Off(map.device);
        return QuantizeMap(map.to_type(ScalarType.Float32), moment).MoveToOuterDisposeScope();
    }

    /// <summary>The quantized map (B, output channels, H, W) of indices (B, M, H, W). In evaluation it equals the map that
    /// <see cref="Quantize"/> returns with these indices.</summary>
    /// <exception cref="ArgumentException">The indices have another shape, or are out of range.</exception>
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

    /// <summary>Chooses the first codes from maps (B, input channels, H, W) of the first batches, if the quantizer has codes to choose.</summary>
    /// <param name="maps">This rank's.</param>
    /// <param name="seed">Of the choice.</param>
    /// <param name="sharing">How the batches lie on several ranks; null in one process.</param>
    public virtual void Initialize(IReadOnlyList<Tensor> maps, long seed, Sharing? sharing = null) { }

    /// <summary>What was collected for <see cref="Learn"/> and has to be summed over all ranks before; empty where nothing was.</summary>
    public virtual IReadOnlyList<Tensor> Collected => [];

    /// <summary>Ends an optimizer step: codes that do not learn by gradient learn from the vectors quantized since the last call.</summary>
    /// <param name="seed">Seed of the run.</param>
    /// <param name="step">The step that ends; with the seed it determines every random choice.</param>
    /// <returns>Number of revived codes per codebook.</returns>
    public virtual long[] Learn(long seed, long step) => new long[Codebooks];

    /// <summary>Ends an optimizer step that was skipped: the statistics since the last call are discarded.</summary>
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

    /// <summary>Averages squared differences (B, M, D, H, W) over channels, to (B, M, H, W). Returns null in training.</summary>
    protected Tensor? Distances(Tensor squares) => training ? null : squares.detach().mean([2]);

    /// <summary>Implements <see cref="Quantize"/> for a float32 map of the right shape, inside a dispose scope.</summary>
    protected abstract Quantized QuantizeMap(Tensor map, TrainingMoment moment);

    /// <summary>Implements <see cref="Embed"/> for indices of the right shape, inside a dispose scope.</summary>
    protected abstract Tensor EmbedCodes(Tensor codes);
}
