using DQ.Core.Likelihoods.Context;

namespace DQ.Core.Coding;

/// <summary>What the net sees of a pixel, in integers: neighbours relative to the prediction and to the local contrast.</summary>
/// <remarks>
/// LOCO-I (Weinberger, Seroussi &amp; Sapiro 2000) predicts each channel by the median of W, N and W + N − NW. The order of the inputs is
/// that of <see cref="ContextSpec"/>: neighbours by row, column and channel; then predictions, W − N, N − NW and log contrasts by channel.
/// Differences are not yet multiplied by 0.7: that is in the frozen weights.
/// </remarks>
internal static unsafe class ContextInputs
{
    /// <summary>Fills the inputs of one pixel.</summary>
    /// <param name="pixel">Its place among pixels with margins.</param>
    /// <param name="stride">Bytes from a row to the next.</param>
    /// <param name="spec">Shape of the head.</param>
    /// <param name="tables">By its floor.</param>
    /// <param name="inputs">Of the net.</param>
    /// <param name="predictions">A prediction a channel.</param>
    /// <param name="contrasts">A contrast a channel, an index of the tables.</param>
    public static void Fill(
        byte* pixel,
        int stride,
        ContextSpec spec,
        ContrastTables tables,
        short* inputs,
        int* predictions,
        int* contrasts
    )
    {
        if (spec.Channels == 3)
            Color(pixel, stride, spec, tables, inputs, predictions, contrasts);
        else
            Gray(pixel, stride, spec, tables, inputs, predictions, contrasts);
    }

    private static void Color(
        byte* pixel,
        int stride,
        ContextSpec spec,
        ContrastTables tables,
        short* inputs,
        int* predictions,
        int* contrasts
    )
    {
        int s0 = Contrast(pixel, stride, 3),
            s1 = Contrast(pixel + 1, stride, 3),
            s2 = Contrast(pixel + 2, stride, 3);
        var all = s0 + s1 + s2;
        contrasts[0] = 3 * s0 + all;
        contrasts[1] = 3 * s1 + all;
        contrasts[2] = 3 * s2 + all;
        int m0 = predictions[0] = Median(pixel, stride, 3),
            m1 = predictions[1] = Median(pixel + 1, stride, 3),
            m2 = predictions[2] = Median(pixel + 2, stride, 3);
        var bits = tables.ReciprocalBits;
        int r0 = tables.Reciprocals[contrasts[0]],
            r1 = tables.Reciprocals[contrasts[1]],
            r2 = tables.Reciprocals[contrasts[2]];
        var radius = spec.Radius;
        for (var row = -radius; row <= 0; row++)
        {
            var at = pixel + row * stride - 3 * radius;
            for (var count = row < 0 ? 2 * radius + 1 : radius; count > 0; count--, at += 3, inputs += 3)
            {
                var green = at[1] - m1;
                inputs[0] = Scaled(at[0] - m0 - green, r0, bits);
                inputs[1] = Scaled(green, r1, bits);
                inputs[2] = Scaled(at[2] - m2 - green, r2, bits);
            }
        }
        for (var channel = 0; channel < 3; channel++)
            Others(pixel + channel, stride, 3, predictions[channel], contrasts[channel], tables, inputs + channel);
    }

    private static void Gray(
        byte* pixel,
        int stride,
        ContextSpec spec,
        ContrastTables tables,
        short* inputs,
        int* predictions,
        int* contrasts
    )
    {
        var contrast = contrasts[0] = 6 * Contrast(pixel, stride, 1);
        var prediction = predictions[0] = Median(pixel, stride, 1);
        var reciprocal = tables.Reciprocals[contrast];
        var radius = spec.Radius;
        for (var row = -radius; row <= 0; row++)
        {
            var at = pixel + row * stride - radius;
            for (var count = row < 0 ? 2 * radius + 1 : radius; count > 0; count--)
                *inputs++ = Scaled(*at++ - prediction, reciprocal, tables.ReciprocalBits);
        }
        Others(pixel, stride, 1, prediction, contrast, tables, inputs);
    }

    private static void Others(byte* pixel, int stride, int channels, int prediction, int contrast, ContrastTables tables, short* inputs)
    {
        int west = pixel[-channels],
            north = pixel[-stride],
            corner = pixel[-stride - channels];
        var reciprocal = tables.Reciprocals[contrast];
        inputs[0] = (short)(((2 * prediction - 255) << FrozenContext.InputBits) / 255);
        inputs[channels] = Scaled(west - north, reciprocal, tables.ReciprocalBits);
        inputs[2 * channels] = Scaled(north - corner, reciprocal, tables.ReciprocalBits);
        inputs[3 * channels] = tables.LogInputs[contrast];
    }

    private static short Scaled(int difference, int reciprocal, int bits) =>
        (short)Math.Clamp((difference * reciprocal) >> bits, -short.MaxValue, short.MaxValue);

    /// Sum of |W − NW|, |N − NW|, |N − NE|, |W − WW| and |N − NN|, 0 … 1275.
    private static int Contrast(byte* pixel, int stride, int channels)
    {
        int west = pixel[-channels],
            north = pixel[-stride],
            corner = pixel[-stride - channels];
        return Math.Abs(west - corner)
            + Math.Abs(north - corner)
            + Math.Abs(north - pixel[-stride + channels])
            + Math.Abs(west - pixel[-2 * channels])
            + Math.Abs(north - pixel[-2 * stride]);
    }

    private static int Median(byte* pixel, int stride, int channels)
    {
        int west = pixel[-channels],
            north = pixel[-stride],
            corner = pixel[-stride - channels];
        return Math.Max(Math.Min(west, north), Math.Min(Math.Max(west, north), west + north - corner));
    }
}
