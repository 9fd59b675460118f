using DQ.Core.Quantization;

namespace DQ.Core.Evaluation;

/// <summary>
/// The rate of an image: −log p(pixels | codes), the code rate, and their total. A dimension is one channel of one pixel. With a
/// deterministic encoder the total is an upper bound on −log p(pixels), and the rate of a lossless file.
/// </summary>
public sealed record RateAccounting
{
    /// <param name="dims">Dimensions of an image, C·H·W without padding.</param>
    /// <param name="reconstructionNatsPerDim">Mean over images; null if the reconstruction loss is not a likelihood.</param>
    /// <param name="uniformBitsPerImage">See <see cref="CodeRate.UniformBitsPerImage"/>.</param>
    /// <param name="empiricalBitsPerImage">Mean over images, see <see cref="CodeRate.EmpiricalBits"/>.</param>
    public RateAccounting(long dims, double? reconstructionNatsPerDim, double uniformBitsPerImage, double empiricalBitsPerImage)
    {
        if (dims < 1)
            throw new ArgumentOutOfRangeException(nameof(dims), dims, "expected at least 1");
        Dims = dims;
        ReconstructionNatsPerDim = reconstructionNatsPerDim;
        CodeRateUniformBitsPerImage = uniformBitsPerImage;
        CodeRateEmpiricalBitsPerImage = empiricalBitsPerImage;
    }

    public long Dims { get; }

    public double? ReconstructionNatsPerDim { get; }

    public double? ReconstructionBitsPerDim => ReconstructionNatsPerDim is { } nats ? CodeRate.NatsToBits(nats) : null;

    public double? ReconstructionBitsPerImage => ReconstructionBitsPerDim * Dims;

    public double CodeRateUniformBitsPerImage { get; }

    public double CodeRateUniformBitsPerDim => CodeRateUniformBitsPerImage / Dims;

    public double CodeRateEmpiricalBitsPerImage { get; }

    public double CodeRateEmpiricalBitsPerDim => CodeRateEmpiricalBitsPerImage / Dims;

    public double? TotalUniformBitsPerDim => ReconstructionBitsPerDim + CodeRateUniformBitsPerDim;

    public double? TotalUniformBitsPerImage => TotalUniformBitsPerDim * Dims;

    public double? TotalEmpiricalBitsPerDim => ReconstructionBitsPerDim + CodeRateEmpiricalBitsPerDim;

    public double? TotalEmpiricalBitsPerImage => TotalEmpiricalBitsPerDim * Dims;
}
