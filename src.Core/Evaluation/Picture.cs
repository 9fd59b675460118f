using DQ.Core.Autoencoders;
using DQ.Core.Images;
using DQ.Core.Quantization;
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
    /// <param name="model">The model, which is set to evaluation mode.</param>
    /// <param name="image">A picture with the model's channels.</param>
    public static Picture Of(HierarchicalAutoencoder model, PixelImage image)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        model.eval();
        var pixels = tensor(
            image.Bytes,
            [1, image.Channels, image.Height, image.Width],
            ScalarType.Byte,
            model.parameters().First().device
        );
        var codes = model.Encode(pixels);
        var output = model.Decode(codes, image.Height, image.Width);
        var mean = model.Likelihood.Mean(output);
        double? nats = model.Likelihood.IsDensity ? model.Likelihood.Loss(output, pixels).item<float>() : null;
        var codeBits = CodeRate.UniformBitsPerImage(model.Spec.Grids(image.Height, image.Width));
        double dimensions = image.Bytes.Length;
        var (bits, codeRate) = (nats / Math.Log(2), codeBits / dimensions);
        return new(
            PixelImage.FromTensor(Reconstructions.Rounded(mean))[0],
            nats,
            bits,
            codeRate,
            bits + codeRate,
            (long)Math.Ceiling(codeBits / 8),
            bits is { } rate ? (long)Math.Ceiling((rate + codeRate) * dimensions / 8) : null,
            ImageQuality.Psnr(mean, pixels.to_type(ScalarType.Float32)).item<float>()
        );
    }
}
