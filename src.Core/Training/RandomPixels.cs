using DQ.Core.Parallel;
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

    /// <summary>Those of a micro-batch: its share of the step's, and of these the ones that lie on this rank's images.</summary>
    /// <param name="training">Settings with the number of pixels per step.</param>
    /// <param name="moment">Step and micro-batch.</param>
    /// <param name="pixels">(B, C, H, W), this rank's images of the micro-batch.</param>
    /// <returns>(P) int64 on the CPU, as from <see cref="Choose"/>; numbered among this rank's images.</returns>
    public static Tensor Of(TrainingSpec training, TrainingMoment moment, Tensor pixels)
    {
        var share = moment.Sharing?.Images ?? new(0, (int)pixels.shape[0], (int)pixels.shape[0]);
        var area = (int)(pixels.shape[2] * pixels.shape[3]);
        var (first, end) = (share.First * area, (share.First + share.Count) * area);
        var chosen = Choose(moment, Count(training, share), share.Of, area).Where(position => position >= first && position < end);
        return tensor(chosen.Select(position => (long)(position - first)).ToArray());
    }

    /// <summary>Weight of the mean loss over a rank's pixels, so that means weighted by images add up to that over all pixels; 1 in one
    /// process.</summary>
    /// <param name="training">As above.</param>
    /// <param name="moment">As above.</param>
    /// <param name="positions">(P) int64, this rank's.</param>
    public static double Weight(TrainingSpec training, TrainingMoment moment, Tensor positions) =>
        moment.Sharing is { Images: var share }
            ? (double)positions.shape[0] * share.Of / ((double)Count(training, share) * share.Count)
            : 1;

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

    private static int Count(TrainingSpec training, Share share) => (int)((long)training.PixelsPerStep * share.Of / training.BatchSize);
}
