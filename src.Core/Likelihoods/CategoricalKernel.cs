using System.Numerics;

namespace DQ.Core.Likelihoods;

/// <summary><see cref="Categorical"/>'s loss on tiles: the logits of one value and channel are a row; vector lanes are pixels.</summary>
internal sealed unsafe class CategoricalKernel(int imageChannels, int values) : ITileKernel
{
    public int OutputChannels => values * imageChannels;

    public int ImageChannels => imageChannels;

    // each pixel's largest logit, and then its inverse sum of exponentials
    public int ScratchRows => 1;

    public double Run(float* tile, float* pixels, float* scratch, int width, int count, bool gradient, float scale)
    {
        var nats = 0.0;
        for (var channel = 0; channel < imageChannels; channel++)
            nats += Channel(tile + channel * width, pixels + channel * width, scratch, width, count, gradient, scale);
        return nats;
    }

    private double Channel(float* logits, float* pixels, float* row, int width, int count, bool gradient, float scale)
    {
        var step = imageChannels * width; // from a value's logits to the next value's
        var end = values * step;
        var nats = 0.0;
        for (var pixel = 0; pixel < count; pixel++)
            nats -= logits[(int)pixels[pixel] * step + pixel];
        for (var v = 0; v < width; v += Vector<float>.Count)
        {
            var most = Vector.Load(logits + v);
            for (var at = step + v; at < end; at += step)
                most = Vector.MaxNative(most, Vector.Load(logits + at));
            var total = Vector<float>.Zero;
            for (var at = v; at < end; at += step)
            {
                var power = VectorMath.Exp(Vector.Load(logits + at) - most);
                total += power;
                Vector.Store(power, logits + at);
            }
            var logSum = most + VectorMath.Log(total);
            for (var lane = 0; lane < Math.Min(Vector<float>.Count, count - v); lane++)
                nats += logSum[lane];
            Vector.Store(new Vector<float>(scale) / total, row + v);
        }
        if (!gradient)
            return nats;
        for (var at = 0; at < end; at += step)
        for (var v = 0; v < width; v += Vector<float>.Count)
            Vector.Store(Vector.Load(logits + at + v) * Vector.Load(row + v), logits + at + v);
        for (var pixel = 0; pixel < count; pixel++)
            logits[(int)pixels[pixel] * step + pixel] -= scale;
        return nats;
    }
}
