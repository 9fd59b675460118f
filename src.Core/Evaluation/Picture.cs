using DQ.Core.Autoencoders;
using DQ.Core.Images;
using DQ.Core.Quantization;
using static DQ.Core.Native.HeldOperations;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>The reconstruction of one picture of any size by a model. Rates are per dimension of the picture itself, without
/// padding.</summary>
/// <param name="Reconstruction">The expected pixels, in the picture's own size.</param>
/// <param name="ReconstructionNatsPerDim">−log p(x|z); null for squared error.</param>
/// <param name="ReconstructionBitsPerDim">−log p(x|z) in bits; null for squared error.</param>
/// <param name="CodeRateUniformBitsPerDim">Σ over levels of M·H·W·log2 K, with the codes of the padding.</param>
/// <param name="TotalUniformBitsPerDim">Reconstruction + uniform code rate, the rate of a lossless file; null for squared error.</param>
/// <param name="CodeBytes">Bytes of the codes alone.</param>
/// <param name="LosslessBytes">Bytes of codes and residual together; null for squared error.</param>
/// <param name="PsnrDb">PSNR of the expected pixels, in decibel, at most 100 (docs/metrics.md).</param>
public sealed record Picture(
    PixelImage Reconstruction,
    double? ReconstructionNatsPerDim,
    double? ReconstructionBitsPerDim,
    double CodeRateUniformBitsPerDim,
    double? TotalUniformBitsPerDim,
    long CodeBytes,
    long? LosslessBytes,
    double PsnrDb
)
{
    /// <summary>Tile by tile where it is large: <see cref="TiledModel"/>.</summary>
    /// <param name="model">Is put in evaluation mode.</param>
    /// <param name="image">With the model's channels.</param>
    /// <param name="progress">Told the share of the work that is done, up to 1; may throw to stop.</param>
    public static Picture Of(HierarchicalAutoencoder model, PixelImage image, Action<double>? progress = null) =>
        Of(model, new TiledModel(model), image, progress);

    internal static Picture Of(HierarchicalAutoencoder model, TiledModel tiled, PixelImage image, Action<double>? progress)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var codes = tiled.Encode(image, share => progress?.Invoke(share / 2));
        var reconstruction = new PixelImage(image.Channels, image.Height, image.Width);
        var (sumOfNats, sumOfSquares) = (0.0, 0.0);
        foreach (var (place, output) in tiled.Decode(codes, image.Height, image.Width, share => progress?.Invoke((1 + share) / 2)))
        {
            using var part = NewDisposeScope();
            var pixels = tiled.Pixels(image, place);
            var mean = model.Likelihood.Mean(output);
            if (model.Likelihood.IsDensity)
                sumOfNats += (double)model.Likelihood.Loss(output, pixels).item<float>() * pixels.numel();
            sumOfSquares += (mean.to_type(ScalarType.Float64) - pixels).Squared().sum().item<double>();
            TiledModel.Put(reconstruction, place, Reconstructions.Rounded(mean));
            output.Dispose();
        }
        double dimensions = image.Bytes.Length;
        double? nats = model.Likelihood.IsDensity ? sumOfNats / dimensions : null;
        var codeBits = CodeRate.UniformBitsPerImage(model.Spec.Grids(image.Height, image.Width));
        var (bits, codeRate) = (nats / Math.Log(2), codeBits / dimensions);
        return new(
            reconstruction,
            nats,
            bits,
            codeRate,
            bits + codeRate,
            (long)Math.Ceiling(codeBits / 8),
            bits is { } rate ? (long)Math.Ceiling((rate + codeRate) * dimensions / 8) : null,
            ImageQuality.Psnr(sumOfSquares / dimensions)
        );
    }
}
