using System.Collections.Concurrent;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Likelihoods;

/// <summary>
/// The network's input scale: pixels/255, minus the mean, divided by the standard deviation of each channel. Three channels use
/// ImageNet's statistics, as the released code does for every data set; one channel uses 0.5 and 0.5.
/// </summary>
public static class PixelNormalization
{
    private static readonly float[] ColourMean = [0.485f, 0.456f, 0.406f];
    private static readonly float[] ColourDeviation = [0.229f, 0.224f, 0.225f];

    /// On the device once, since a copy from the host makes a GPU wait
    private static readonly ConcurrentDictionary<(long, ScalarType, string), (Tensor Mean, Tensor Deviation)> statistics = new();

    /// <param name="pixels">(B, C, H, W), values 0…255, C = 3 or 1, any device.</param>
    /// <returns>(B, C, H, W) float32.</returns>
    public static Tensor Normalize(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        var (mean, deviation) = Statistics(pixels, ScalarType.Float32);
        var values = pixels.to(ScalarType.Float32, copy: true);
        return values.sub_(mean.mul(Kept(255))).div_(deviation.mul(Kept(255))).MoveToOuterDisposeScope();
    }

    /// <param name="values">(B, C, H, W) on the network's scale, C = 3 or 1.</param>
    /// <returns>(B, C, H, W) of the same type, clamped to [0, 255].</returns>
    public static Tensor Denormalize(Tensor values)
    {
        using var scope = NewDisposeScope();
        var (mean, deviation) = Statistics(values, values.dtype);
        return addcmul(mean.mul(Kept(255)), values, deviation.mul(Kept(255)), Kept(1)).clamp(Kept(0), Kept(255)).MoveToOuterDisposeScope();
    }

    private static (Tensor Mean, Tensor Deviation) Statistics(Tensor images, ScalarType type)
    {
        if (images.dim() != 4 || images.size(1) is not (1 or 3))
            throw Unexpected(images);
        var device = images.device;
        return statistics.GetOrAdd(
            (images.size(1), type, device.ToString()),
            key => key.Item1 == 3 ? (PerChannel(ColourMean), PerChannel(ColourDeviation)) : (PerChannel([0.5f]), PerChannel([0.5f]))
        );

        Tensor PerChannel(float[] entries) => tensor(entries, type, device).view(1, -1, 1, 1).DetachFromDisposeScope(); // (1, C, 1, 1)
    }

    private static ArgumentException Unexpected(Tensor images) =>
        new($"expected images of shape (B, 3, H, W) or (B, 1, H, W), got ({string.Join(", ", images.shape)})");
}
