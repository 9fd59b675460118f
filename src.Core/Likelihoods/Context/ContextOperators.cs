using TorchSharp.Modules;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Likelihoods.Context;

/// <summary>A context head by libtorch's operators, on any device: for GPUs, and to compare with <see cref="ContextPass"/>.</summary>
/// <remarks>Inputs, geometry and mixture are those of <see cref="ContextInputs"/> and <see cref="ContextMixture"/>. Axes: P pixels,
/// C channels, N neighbours, K components.</remarks>
internal sealed class ContextOperators(ContextSpec spec, IReadOnlyList<Linear> layers)
{
    /// <summary>−ln p of pixels, (P) nats summed over their channels; differentiable in the weights and in
    /// <paramref name="joined"/>.</summary>
    /// <param name="pixels">(B, C, H, W) uint8.</param>
    /// <param name="positions">(P) int64: image · H·W + row · W + column, on the pixels' device.</param>
    /// <param name="joined">(width, P), added to the first layer's sums; null for none.</param>
    public Tensor Nats(Tensor pixels, Tensor positions, Tensor? joined)
    {
        using var scope = NewDisposeScope();
        var (known, own) = Gathered(pixels, positions);
        var (inputs, median, sigma) = Prepared(known);
        return Nats(Outputs(inputs, joined), own, median, sigma).MoveToOuterDisposeScope();
    }

    /// The neighbours (P, N, C) and the pixels themselves (P, C), on [−1, 1]
    private (Tensor Known, Tensor Own) Gathered(Tensor pixels, Tensor positions)
    {
        var (height, width) = (pixels.shape[2], pixels.shape[3]);
        var (row, plane) = (width + 2 * spec.Radius, (height + spec.Radius) * (width + 2 * spec.Radius));
        var images = Margined(pixels); // (B, C, H + R, W + 2R)
        var image = positions.div(Kept(height * width), RoundingMode.floor);
        var inside = positions - image * Kept(height * width);
        var down = inside.div(Kept(width), RoundingMode.floor);
        var across = (inside - down * Kept(width)).Plus(Kept((long)spec.Radius));
        var at = (image * Kept(spec.Channels * plane)).Plus(down.Plus(Kept((long)spec.Radius)) * Kept(row)).Plus(across);
        var channels = IntegersBelow(spec.Channels, device: pixels.device) * Kept(plane); // (C)
        var values = images.reshape(-1);
        var own = values.take(at.unsqueeze(1).Plus(channels));
        var places = at.view(-1, 1, 1).Plus(Offsets(row, pixels.device).view(1, -1, 1)).Plus(channels);
        return (values.take(places), own);
    }

    /// Offsets of the neighbours (N) from a pixel, in rows of this length
    private Tensor Offsets(long row, Device device)
    {
        var numbers = IntegersBelow(spec.Neighbours, device: device);
        var line = 2 * spec.Radius + 1;
        var down = numbers.div(Kept((long)line), RoundingMode.floor);
        var across = (numbers - down * Kept((long)line)).sub(Kept((long)spec.Radius));
        return (down.sub(Kept((long)spec.Radius)) * Kept(row)).Plus(across);
    }

    /// (B, C, H, W) uint8 with the margin of ContextImages, on [−1, 1]: (B, C, H + R, W + 2R)
    private Tensor Margined(Tensor pixels)
    {
        var (radius, height) = (spec.Radius, pixels.shape[2]);
        var images = pixels.to_type(ScalarType.Float32);
        var above = full_like(images.narrow(2, 0, 1).narrow(3, 0, 1), Kept((double)ContextImages.Above)); // (B, C, 1, 1)
        var firsts = height > 1 ? cat([above, images.narrow(3, 0, 1).narrow(2, 0, height - 1)], 2) : above; // (B, C, H, 1)
        var lasts = images.narrow(3, images.shape[3] - 1, 1);
        var rows = cat([Repeated(firsts), images, Repeated(lasts)], 3);
        var top = above.expand(rows.shape[0], rows.shape[1], radius, rows.shape[3]);
        return cat([top, rows], 2).div(Kept(127.5)).sub(Kept(1));

        Tensor Repeated(Tensor column) => column.expand(column.shape[0], column.shape[1], column.shape[2], radius);
    }

    /// The network's inputs (P, inputs), and by channel the prediction and σ (P, C)
    private (Tensor Inputs, Tensor Median, Tensor Sigma) Prepared(Tensor known)
    {
        var (w, n) = (Known(0, -1), Known(-1, 0));
        var (nw, ne) = (Known(-1, -1), Known(-1, 1));
        var (ww, nn) = (Known(0, -2), Known(-2, 0));
        var median = maximum(minimum(w, n), minimum(maximum(w, n), w.Plus(n) - nw));
        var contrast = (w - nw).abs().Plus((n - nw).abs()).Plus((n - ne).abs()).Plus((w - ww).abs()).Plus((n - nn).abs()).mul(Kept(0.2));
        var sigma = contrast.mul(Kept(0.5)).Plus(contrast.mean([1], keepdim: true).mul(Kept(0.5))).Plus(Kept(spec.ContrastFloor));
        var difference = known - median.unsqueeze(1); // (P, N, C)
        if (spec.Channels == 3)
        {
            var green = difference.narrow(2, 1, 1);
            difference = cat([difference.narrow(2, 0, 1) - green, green, difference.narrow(2, 2, 1) - green], 2);
        }
        var scaled = (difference / sigma.unsqueeze(1))
            .clamp(Kept(-ContextInputs.MostDifference), Kept(ContextInputs.MostDifference))
            .mul(Kept(ContextInputs.DifferenceScale));
        // the numbers of a channel follow those of the channel before it
        var extra = stack([median, (w - n) / sigma, (n - nw) / sigma, sigma.log()], 1);
        return (cat([scaled.flatten(1), extra.flatten(1)], 1), median, sigma);

        Tensor Known(int row, int column) => known.select(1, (row + spec.Radius) * (2 * spec.Radius + 1) + column + spec.Radius);
    }

    /// The network's outputs (P, outputs)
    private Tensor Outputs(Tensor inputs, Tensor? joined)
    {
        var sums = layers[0].call(inputs);
        var units = (joined is null ? sums : sums.Plus(joined.t())).relu();
        for (var layer = 1; layer < layers.Count - 1; layer++)
        {
            var next = layers[layer].call(units).relu();
            units = layer == 1 ? next : units.Plus(next);
        }
        return layers[^1].call(units);
    }

    private Tensor Nats(Tensor outputs, Tensor own, Tensor median, Tensor sigma)
    {
        var (channels, k) = (spec.Channels, spec.Mixtures);
        var joint = outputs.narrow(1, 0, k).log_softmax(1); // (P, K)
        for (var channel = 0; channel < channels; channel++)
        {
            var unit = Of(sigma, channel) * Kept(ContextInputs.Unit);
            var mean = (Part(0, channel) * unit).Plus(Of(median, channel));
            for (var earlier = 0; earlier < channel; earlier++)
                mean = mean.Plus(Share(channel, earlier).tanh() * (Of(own, earlier) - Of(median, earlier)));
            var logScale = Part(1, channel).Plus(unit.log()).clamp(Kept(ContextMixture.LeastLogScale), Kept(ContextMixture.MostLogScale));
            joint = joint.Plus(LogisticMixture.LogMass(Of(own, channel), mean, logScale));
        }
        return joint.logsumexp(1).neg();

        Tensor Part(int part, int channel) => outputs.narrow(1, (1 + part * channels + channel) * k, k);
        // shares come last: green's of red, blue's of red, blue's of green
        Tensor Share(int channel, int earlier) => outputs.narrow(1, (1 + 2 * channels + channel * (channel - 1) / 2 + earlier) * k, k);
        Tensor Of(Tensor values, int channel) => values.narrow(1, channel, 1); // (P, 1)
    }
}
