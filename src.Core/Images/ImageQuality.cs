using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace DQ.Core.Images;

/// <summary>
/// Measures of the distance between reconstructions and originals. Both take floats (B, C, H, W) in [0, 255] and return one number per
/// image, float32 (B), computed in float64. The reasons: SSIM's variances are differences of squares that are thousands of times larger,
/// and on a GPU a convolution in float32 may have a precision of only 10 bits (TF32).
/// </summary>
public static class ImageQuality
{
    private const int WindowWidth = 11;
    private const double WindowDeviation = 1.5; // pixels
    private const double Peak = 255;

    /// dB; with an infinite value the mean would not depend on other images, and JSON has no infinity
    private const double HighestPsnr = 100;

    /// <summary>
    /// Peak signal-to-noise ratio in dB, 10·log10(255² / mean squared error), the mean over all channels and pixels of an image.
    /// At most 100 dB, which is also the value for equal images.
    /// </summary>
    public static Tensor Psnr(Tensor images, Tensor originals)
    {
        Check(images, originals);
        using var scope = NewDisposeScope();
        var error = (images.to_type(ScalarType.Float64) - originals).Squared().mean([1, 2, 3]);
        var decibels = (Kept(10) * (Kept(Peak * Peak) / error).log10()).clamp_max_(Kept(HighestPsnr));
        return decibels.to_type(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>The same in dB of a mean squared error.</summary>
    public static double Psnr(double meanSquaredError) => Math.Min(HighestPsnr, 10 * Math.Log10(Peak * Peak / meanSquaredError));

    /// <summary>
    /// Structural similarity (Wang, Bovik, Sheikh &amp; Simoncelli, "Image quality assessment", IEEE TIP 2004, eq. 13): an 11×11
    /// Gaussian window of deviation 1.5, K1 = 0.01, K2 = 0.03, the mean over window positions that lie inside the image, then
    /// over channels; the range of the data is 255. It is 1 for equal images, and below 0 for opposite ones.
    /// </summary>
    /// <remarks>
    /// If an image is smaller than the window along an axis, the largest odd window that fits is used, with the same Gaussian, cut and
    /// normalized again. Values of other programs differ if they use a uniform window of 7 (scikit-image's default), variances over N − 1,
    /// windows that reach over the edge, or gray levels of color images.
    /// </remarks>
    public static Tensor Ssim(Tensor images, Tensor originals)
    {
        Check(images, originals);
        using var scope = NewDisposeScope();
        var shape = images.shape;
        var (batch, channels, height, width) = (shape[0], shape[1], shape[2], shape[3]);
        var down = Window(height, images.device).view(1, 1, -1, 1);
        var across = Window(width, images.device).view(1, 1, 1, -1);
        var x = images.to_type(ScalarType.Float64).reshape(batch * channels, 1, height, width); // a plane each
        var y = originals.to_type(ScalarType.Float64).reshape(batch * channels, 1, height, width);
        Tensor Blur(Tensor planes) => functional.conv2d(functional.conv2d(planes, down), across);

        var (meanX, meanY) = (Blur(x), Blur(y));
        var varianceX = Blur(x * x) - meanX * meanX;
        var varianceY = Blur(y * y) - meanY * meanY;
        var covariance = Blur(x * y) - meanX * meanY;
        const double c1 = 0.01 * Peak * (0.01 * Peak),
            c2 = 0.03 * Peak * (0.03 * Peak);
        var similarity =
            (Kept(2) * meanX * meanY).Plus(Kept(c1))
            * (Kept(2) * covariance).Plus(Kept(c2))
            / ((meanX * meanX).Plus(meanY * meanY).Plus(Kept(c1)) * varianceX.Plus(varianceY).Plus(Kept(c2)));
        // planes have equal size, so one mean over both axes is enough
        return similarity.reshape(batch, -1).mean([1]).to_type(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    private static Tensor Window(long width, Device device)
    {
        var size = (int)Math.Min(WindowWidth, width - (1 - width % 2)); // the largest odd number up to the width
        var offsets = IntegersBelow(size, ScalarType.Float64, device) - Kept((size - 1) / 2.0);
        var weights = (offsets.Squared() / Kept(-2 * WindowDeviation * WindowDeviation)).exp();
        return weights / weights.sum();
    }

    private static void Check(Tensor images, Tensor originals)
    {
        if (images.dim() != 4 || images.dtype != ScalarType.Float32 || originals.dtype != ScalarType.Float32)
            throw new ArgumentException(
                $"expected float32 (B, C, H, W), got {images.dtype} with {images.dim()} axes and {originals.dtype}",
                nameof(images)
            );
        if (!images.shape.SequenceEqual(originals.shape))
            throw new ArgumentException(
                $"expected images of the originals' shape ({string.Join(", ", originals.shape)}), got ({string.Join(", ", images.shape)})",
                nameof(images)
            );
    }
}
