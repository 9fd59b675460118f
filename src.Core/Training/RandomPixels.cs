using DQ.Core.Quantization;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>The pixels that a context head learns from in a step: as many of each image, at places drawn from (seed, step).</summary>
/// <remarks>
/// Whole images would show the head thousands of pixels that are nearly alike: at equal cost random ones taught it more
/// (docs/log.md).
/// </remarks>
public static class RandomPixels
{
    private const long Stream = 0x706978656C;

    /// <summary>Those of a micro-batch: its share of the step's.</summary>
    /// <param name="training">How many a step has.</param>
    /// <param name="moment">Step and micro-batch.</param>
    /// <param name="pixels">(B, C, H, W), the micro-batch.</param>
    public static int[] Of(TrainingSpec training, TrainingMoment moment, Tensor pixels)
    {
        var images = (int)pixels.shape[0];
        var count = (int)((long)training.PixelsPerStep * images / training.BatchSize);
        return Choose(moment, count, images, (int)(pixels.shape[2] * pixels.shape[3]));
    }

    /// <param name="moment">Step and micro-batch.</param>
    /// <param name="count">How many in all.</param>
    /// <param name="images">B, taken in turn.</param>
    /// <param name="area">H·W.</param>
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
