using DQ.Core.Images;
using DQ.Core.Likelihoods;
using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>Converts images to the input of torchvision's networks: three colours, square, on the scale of
/// <see cref="PixelNormalization"/>.</summary>
internal static class NetworkInput
{
    /// <param name="pixels">(B, 3 or 1, rows, columns) uint8; gray images become three equal colours.</param>
    /// <param name="size">Rows and columns of the result; images of other sizes are resized.</param>
    /// <param name="device">Device of the result.</param>
    /// <returns>(B, 3, side, side) float32; the caller disposes it.</returns>
    public static Tensor Of(Tensor pixels, int size, Device device)
    {
        using var scope = NewDisposeScope();
        var onDevice = pixels.to(device);
        var coloured = onDevice.shape[1] == 1 ? onDevice.expand(-1, 3, -1, -1) : onDevice;
        var sized =
            (coloured.shape[2], coloured.shape[3]) == (size, size)
                ? coloured
                : stack([.. PixelImage.FromTensor(coloured).Select(image => Resized(image, size))]).to(device);
        return PixelNormalization.Normalize(sized).MoveToOuterDisposeScope();
    }

    private static Tensor Resized(PixelImage image, int size) =>
        tensor(AreaResize.Resize(image, size, size).Bytes, [image.Channels, size, size], ScalarType.Byte);
}
