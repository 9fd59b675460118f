using DQ.Core.Autoencoders;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>One level's quantization of one batch.</summary>
/// <param name="Map">The quantized map (B, output channels, H, W); gradients pass straight through to the input map.</param>
/// <param name="Codes">Chosen codes (B, M, H, W), int64.</param>
/// <param name="LatentLoss">Scalar, unweighted: sum over codebooks of the mean squared distance to the (fixed) codes.</param>
/// <param name="Errors">That distance per codebook (M), detached.</param>
public sealed record Quantized(Tensor Map, Tensor Codes, Tensor LatentLoss, Tensor Errors)
{
    /// <summary>Hands all four tensors to the enclosing dispose scope.</summary>
    public Quantized MoveToOuterDisposeScope() =>
        new(
            Map.MoveToOuterDisposeScope(),
            Codes.MoveToOuterDisposeScope(),
            LatentLoss.MoveToOuterDisposeScope(),
            Errors.MoveToOuterDisposeScope()
        );
}

/// <summary>What every quantizer offers an autoencoder: a map in, a quantized map and its codes out.</summary>
/// <remarks>Axis legend: B batch, M codebooks, K codes per codebook, D code width, H W sides of the level's grid.</remarks>
public abstract class Quantizer : nn.Module
{
    protected Quantizer(string name)
        : base(name) { }

    /// <summary>The quantizer of <paramref name="level"/> (0 = bottom) of an autoencoder.</summary>
    public static Quantizer Create(AutoencoderSpec spec, int level) =>
        spec.Quantizer.Kind switch
        {
            DepthwiseQuantizer.Kind => new DepthwiseQuantizer(spec.Quantizer, spec.Codebooks, spec.Codes[level], spec.CodeWidth),
            VectorQuantizer.Kind => new VectorQuantizer(spec.Quantizer, spec.Codebooks, spec.Codes[level], spec.CodeWidth),
            var kind => throw new ArgumentException($"expected one of {string.Join(", ", Quantizers.Names)}, got '{kind}'", nameof(spec)),
        };

    /// <summary>Codebooks M.</summary>
    public abstract int Codebooks { get; }

    /// <summary>Codes per codebook K.</summary>
    public abstract int CodeCount { get; }

    /// <summary>Channels of the map it quantizes.</summary>
    public abstract int InputChannels { get; }

    /// <summary>Channels of the quantized map.</summary>
    public abstract int OutputChannels { get; }

    /// <summary>Quantizes (B, input channels, H, W); in training mode remembers what its codes will learn from.</summary>
    public abstract Quantized Quantize(Tensor map);

    /// <summary>The quantized map (B, output channels, H, W) that codes (B, M, H, W) stand for.</summary>
    /// <exception cref="ArgumentException">Codes of another shape.</exception>
    public abstract Tensor Embed(Tensor codes);

    /// <summary>Chooses the first codes from maps (B, input channels, H, W) of the first batches.</summary>
    public abstract void Initialize(IReadOnlyList<Tensor> maps, long seed);

    /// <summary>Ends an optimizer step: the codes learn from what was quantized since the last call.</summary>
    /// <param name="seed">Of the run.</param>
    /// <param name="step">The step that ends; with the seed it determines every random choice.</param>
    /// <returns>Revived codes per codebook.</returns>
    public abstract long[] Learn(long seed, long step);

    /// <summary>Ends an optimizer step that was skipped: what was quantized since the last call is forgotten.</summary>
    public abstract void Forget();

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
}
