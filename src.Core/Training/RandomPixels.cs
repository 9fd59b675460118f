using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>The pixels that a context head learns from in a step: equally many of each image, at positions drawn from (seed,
/// step).</summary>
/// <remarks>
/// Whole images have thousands of nearly equal pixels. At equal cost the head learned more from random pixels (docs/log.md).
/// </remarks>
public static class RandomPixels
{
    private const long Stream = 0x706978656C;

    /// <summary>The pixels of a micro-batch: its share of the step's pixels.</summary>
    /// <param name="training">Settings with the number of pixels per step.</param>
    /// <param name="moment">Step and micro-batch.</param>
    /// <param name="pixels">(B, C, H, W), the micro-batch.</param>
    /// <returns>(P) int64 on the CPU, as from <see cref="Choose"/>.</returns>
    public static Tensor Of(TrainingSpec training, TrainingMoment moment, Tensor pixels)
    {
        var images = (int)pixels.shape[0];
        var count = (int)((long)training.PixelsPerStep * images / training.BatchSize);
        var chosen = Choose(moment, count, images, (int)(pixels.shape[2] * pixels.shape[3]));
        return tensor(Array.ConvertAll(chosen, position => (long)position));
    }

    /// <param name="moment">Step and micro-batch.</param>
    /// <param name="count">Number of pixels in all.</param>
    /// <param name="images">Number of images B, which are used in turn.</param>
    /// <param name="area">Pixels per image H·W.</param>
    /// <returns>Positions: image · H·W + row · W + column.</returns>
    public static int[] Choose(TrainingMoment moment, int count, int images, int area)
    {
        var random = new SplitMix64(moment.Seed ^ Stream, moment.Step, moment.MicroBatch);
        var positions = new int[count];
        for (var pixel = 0; pixel < count; pixel++)
            positions[pixel] = pixel % images * area + random.Next(area);
        return positions;
    }
}
