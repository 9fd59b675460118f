using DQ.Core.Quantization;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>Pixels of a micro-batch that a context head is shown.</summary>
/// <param name="Positions">Image · H·W + row · W + column.</param>
/// <param name="Weight">Of the mean over them; 1 in one process.</param>
public sealed record ShownPixels(int[] Positions, double Weight)
{
    /// <summary>The mean loss over them, weighted.</summary>
    public Tensor Weighted(Tensor loss) => Weight == 1 ? loss : loss * Kept(Weight);
}

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
    public static ShownPixels Of(TrainingSpec training, TrainingMoment moment, Tensor pixels)
    {
        var share = moment.Sharing?.Images ?? new(0, (int)pixels.shape[0], (int)pixels.shape[0]);
        var count = (int)((long)training.PixelsPerStep * share.Of / training.BatchSize);
        var area = (int)(pixels.shape[2] * pixels.shape[3]);
        var chosen = Choose(moment, count, share.Of, area);
        if (share.IsWhole)
            return new(chosen, 1);
        var first = share.First * area;
        int[] own = [.. chosen.Select(position => position - first).Where(position => position >= 0 && position < share.Count * area)];
        // the mean over these counts as if each image had as many
        return new(own, (double)own.Length * share.Of / ((double)count * share.Count));
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
