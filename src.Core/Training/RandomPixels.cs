namespace DQ.Core.Training;

/// <summary>The pixels that a context head learns from in a step: as many of each image, at places drawn from (seed, step).</summary>
/// <remarks>
/// Whole images would show the head thousands of pixels that are nearly alike: at equal cost random ones taught it more
/// (docs/log.md).
/// </remarks>
public static class RandomPixels
{
    private const long Stream = 0x706978656C;

    /// <param name="moment">Step and micro-batch.</param>
    /// <param name="count">How many in all.</param>
    /// <param name="images">B, taken in turn.</param>
    /// <param name="area">H·W.</param>
    /// <returns>Positions: image · H·W + row · W + column.</returns>
    public static int[] Choose(Quantization.TrainingMoment moment, int count, int images, int area)
    {
        var random = new SplitMix64(moment.Seed ^ Stream, moment.Step, moment.MicroBatch);
        var positions = new int[count];
        for (var pixel = 0; pixel < count; pixel++)
            positions[pixel] = pixel % images * area + random.Next(area);
        return positions;
    }
}
