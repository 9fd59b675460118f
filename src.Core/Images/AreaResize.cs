namespace DQ.Core.Images;

/// <summary>
/// Resizing by area: an output pixel is the exact mean of the input under it, for any ratio; a partly covered input pixel is weighted by
/// its covered share. An axis that grows has no area to average, so it is interpolated linearly between pixel centres. The axes are
/// independent, so an image can shrink along one and grow along the other.
/// </summary>
public static class AreaResize
{
    /// <summary>Resizes an image.</summary>
    public static PixelImage Resize(PixelImage image, int height, int width)
    {
        if ((height, width) == (image.Height, image.Width))
            return image;
        var values = new float[image.Bytes.Length];
        for (var i = 0; i < values.Length; i++)
            values[i] = image.Bytes[i];
        var resized = Resize(values, image.Channels, image.Height, image.Width, height, width);
        var result = new PixelImage(image.Channels, height, width);
        for (var i = 0; i < resized.Length; i++)
            result.Bytes[i] = (byte)Math.Clamp(MathF.Round(resized[i]), 0, 255);
        return result;
    }

    /// <summary>Resizes planes.</summary>
    /// <param name="planes">(C, H, W).</param>
    /// <param name="channels">Channels C.</param>
    /// <param name="height">Height H of the input.</param>
    /// <param name="width">Width W of the input.</param>
    /// <param name="newHeight">Height of the output.</param>
    /// <param name="newWidth">Width of the output.</param>
    /// <returns>(C, new H, new W).</returns>
    public static float[] Resize(ReadOnlySpan<float> planes, int channels, int height, int width, int newHeight, int newWidth)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(newHeight);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(newWidth);
        if (planes.Length != channels * height * width)
            throw new ArgumentException($"expected {channels}×{height}×{width} values, got {planes.Length}", nameof(planes));
        var across = Taps(width, newWidth);
        var down = Taps(height, newHeight);
        var narrowed = new float[channels * height * newWidth]; // (C, H, new W)
        for (var row = 0; row < channels * height; row++)
        {
            var source = planes.Slice(row * width, width);
            var target = narrowed.AsSpan(row * newWidth, newWidth);
            for (var x = 0; x < newWidth; x++)
            {
                var (first, weights) = across[x];
                var sum = 0f;
                for (var tap = 0; tap < weights.Length; tap++)
                    sum += weights[tap] * source[first + tap];
                target[x] = sum;
            }
        }

        var result = new float[channels * newHeight * newWidth]; // (C, new H, new W)
        for (var channel = 0; channel < channels; channel++)
        for (var y = 0; y < newHeight; y++)
        {
            var target = result.AsSpan((channel * newHeight + y) * newWidth, newWidth);
            var (first, weights) = down[y];
            for (var tap = 0; tap < weights.Length; tap++)
            {
                var source = narrowed.AsSpan((channel * height + first + tap) * newWidth, newWidth);
                for (var x = 0; x < newWidth; x++)
                    target[x] += weights[tap] * source[x];
            }
        }

        return result;
    }

    /// <summary>The largest centred square. If the margin is odd, the extra row or column is cut at the bottom or right.</summary>
    public static PixelImage CropToSquare(PixelImage image)
    {
        if (image.Height == image.Width)
            return image;
        var size = Math.Min(image.Height, image.Width);
        var (top, left) = ((image.Height - size) / 2, (image.Width - size) / 2);
        var result = new PixelImage(image.Channels, size, size);
        for (var channel = 0; channel < image.Channels; channel++)
        for (var y = 0; y < size; y++)
            image.Plane(channel).Slice((top + y) * image.Width + left, size).CopyTo(result.Plane(channel).Slice(y * size, size));
        return result;
    }

    /// <summary>For each output pixel of an axis: the first input pixel it reads and the weights, which sum to one.</summary>
    private static (int First, float[] Weights)[] Taps(int size, int newSize)
    {
        var taps = new (int, float[])[newSize];
        for (var i = 0; i < newSize; i++)
            taps[i] = newSize <= size ? Covered(size, newSize, i) : Between(size, newSize, i);
        return taps;
    }

    private static (int First, float[] Weights) Covered(int size, int newSize, int index)
    {
        // In units of 1/newSize of an input pixel the output covers [index·size, (index+1)·size): whole numbers, so shares are exact.
        var (start, end) = ((long)index * size, (long)(index + 1) * size);
        var first = (int)(start / newSize);
        var last = (int)((end - 1) / newSize);
        var weights = new float[last - first + 1];
        for (var pixel = first; pixel <= last; pixel++)
            weights[pixel - first] = (float)(
                (Math.Min(end, (long)(pixel + 1) * newSize) - Math.Max(start, (long)pixel * newSize)) / (double)size
            );
        return (first, weights);
    }

    private static (int First, float[] Weights) Between(int size, int newSize, int index)
    {
        var position = Math.Clamp((index + 0.5) * size / newSize - 0.5, 0, size - 1);
        var first = Math.Min((int)position, Math.Max(0, size - 2));
        var share = (float)(position - first);
        return size == 1 ? (0, [1f]) : (first, [1 - share, share]);
    }
}
