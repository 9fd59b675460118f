using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Likelihoods;

/// <summary>
/// Discretized mixture of logistics on 8-bit pixels: Salimans, Karpathy, Chen, Kingma, "PixelCNN++", 2017, §2.1 and §2.2.
/// </summary>
/// <remarks>
/// Pixels are scaled to [−1, 1]. Output channels, n components, C image channels: n mixture logits π; then for each image
/// channel c, starting at n + c·P·n: n means μ, n log-scales s and, in colour, n coefficients (P = 3 parts; gray P = 2).
/// All channels share the choice of component k, and the true values of earlier channels shift the means of later ones:
/// μ_G + tanh(c0)·R and μ_B + tanh(c1)·R + tanh(c2)·G, with c0, c1, c2 the coefficients in the slots of channels 0, 1, 2.
/// A value's probability mass is that of the logistic between x − 1/255 and x + 1/255; at 0 and at 255 it includes the whole tail. If the
/// mass is at most 1e-5, it is replaced by density × width, which keeps a useful gradient far from the mean.
/// Axes: B batch, n components, H W height and width; per-component maps are (B, n, H, W).
/// </remarks>
public sealed class LogisticMixture : Likelihood
{
    /// <summary>Log-scales below this are set to it and get no gradient.</summary>
    internal const double LeastLogScale = -7;

    /// <summary>Mass at and below which a bin is approximated by its density.</summary>
    internal const double LeastMass = 1e-5;

    /// Bound of the first means, on the [−1, 1] scale, and the first log-scales; the fastest in training of the few values tried.
    private const double FirstMeans = 0.9;
    private const double FirstLogScale = -2;

    /// <summary>Half a bin on the [−1, 1] scale.</summary>
    internal const double HalfBin = 1 / 255.0;

    public LogisticMixture(int imageChannels, int components)
        : base(imageChannels)
    {
        if (components < 1)
            throw new ArgumentOutOfRangeException(nameof(components), components, "expected at least 1");
        Components = components;
        cuda = new(imageChannels, components, OutputChannels);
    }

    private readonly LogisticMixtureCuda cuda;

    /// <summary>Mixture components n.</summary>
    public int Components { get; }

    /// <summary>Number of parameters per component and channel: mean, log-scale and, in colour, a coefficient.</summary>
    private int Parts => ImageChannels == 1 ? 2 : 3;

    public override int OutputChannels => Components * (1 + ImageChannels * Parts);

    public override bool IsDensity => true;

    /// <summary>
    /// Spaces the components' means evenly over the range of pixels, with scales at which neighbours overlap. The reason: equal components
    /// get equal gradients and take long to separate. Weights are equal, and coefficients zero.
    /// </summary>
    public override void InitializeBias(Tensor bias)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        bias.zero_();
        var means = IntegersBelow(Components, ScalarType.Float32)
            .Plus(Kept(0.5))
            .mul(Kept(2.0 / Components))
            .sub(Kept(1))
            .mul(Kept(FirstMeans));
        for (var channel = 0; channel < ImageChannels; channel++)
        {
            var first = Components * (1 + channel * Parts);
            bias.narrow(0, first, Components).copy_(means);
            bias.narrow(0, first + Components, Components).fill_(Kept(FirstLogScale));
        }
    }

    public override void Prepare(Device device)
    {
        if (device.type == TorchSharp.DeviceType.CUDA)
            cuda.Module(Math.Max(0, device.index));
    }

    private protected override Tensor LossOf(Tensor output, Tensor pixels) =>
        FusedLoss.Takes(output) ? FusedLoss.Loss(new LogisticMixtureKernel(ImageChannels, Components), output, pixels)
        : cuda.Takes(output) ? FusedCudaLoss.Loss(cuda, output, pixels)
        : TensorLoss(output, pixels);

    private Tensor TensorLoss(Tensor output, Tensor pixels)
    {
        using var scope = NewDisposeScope();
        var values = Scaled(pixels, output.dtype);
        var joint = Weights(output).log_softmax(1); // (B, n, H, W)
        for (var channel = 0; channel < ImageChannels; channel++)
            joint = joint.Plus(LogMass(output, values, channel));
        return joint.logsumexp(1).mean([1, 2]).div(Kept(-ImageChannels)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The expected pixel. For each component it is the expectation of the clipped logistic. The mean of a later channel uses that
    /// component's expectation of earlier channels. The result is exact except for clipping of the shift and rounding to integers.
    /// </summary>
    public override Tensor Mean(Tensor output)
    {
        Expect(output);
        using var scope = NewDisposeScope();
        using var none = no_grad();
        // in float64, because the difference below loses digits as the scale grows
        var precise = output.to(ScalarType.Float64);
        var weights = Weights(precise).softmax(1);
        var expected = new List<Tensor>(ImageChannels); // (B, n, H, W) each, on [−1, 1]
        for (var channel = 0; channel < ImageChannels; channel++)
        {
            var mean = ShiftedMean(precise, channel, expected);
            var scale = LogScale(precise, channel).exp();
            // E clip(X) = −1 + ∫ P(X > x) dx over [−1, 1]
            expected.Add(((mean.Plus(Kept(1)) / scale).Softplus(30) - ((mean - Kept(1)) / scale).Softplus(30)) * scale - Kept(1));
        }
        var channels = expected.Select(map => map.mul(weights).sum(1)).ToArray();
        return stack(channels, 1).Plus(Kept(1)).mul(Kept(127.5)).clamp(Kept(0), Kept(255)).to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>Draws a component by its weight, and then each channel from its logistic, given the rounded values drawn before
    /// it.</summary>
    public override Tensor Sample(Tensor output, long seed)
    {
        Expect(output);
        using var scope = NewDisposeScope();
        using var none = no_grad();
        using var generator = new Generator((ulong)seed, CPU); // TorchSharp has no others
        var logits = Weights(output);
        var choice = (logits - Uniform(logits).log_().neg_().log_()).argmax(1, true);
        var drawn = new List<Tensor>(ImageChannels); // (B, 1, H, W) each, on [−1, 1]
        for (var channel = 0; channel < ImageChannels; channel++)
        {
            var mean = ShiftedMean(output, channel, drawn).gather(1, choice);
            var scale = LogScale(output, channel).gather(1, choice).exp();
            var uniform = Uniform(mean);
            var value = mean.Plus(scale * (uniform.log() - uniform.neg().log1p()));
            drawn.Add(value.Plus(Kept(1)).mul(Kept(127.5)).round().clamp(Kept(0), Kept(255)).div(Kept(127.5)).sub(Kept(1)));
        }
        return cat(drawn, 1).Plus(Kept(1)).mul(Kept(127.5)).round().to(ScalarType.Byte).MoveToOuterDisposeScope();

        Tensor Uniform(Tensor like) => rand(like.shape, like.dtype, generator: generator).to(like.device);
    }

    /// <summary>
    /// The density approximation omits up to 2e-5 of the total probability. The result is normalized, so that −log of the product over
    /// channels equals the loss within 1e-4 nats.
    /// </summary>
    public override Tensor BinProbabilities(Tensor output, Tensor pixels, int channel)
    {
        Expect(output);
        ExpectChannel(channel);
        using var scope = NewDisposeScope();
        using var none = no_grad();
        // in float64, because 256 small numbers must sum to one
        var precise = output.to(ScalarType.Float64);
        var values = Scaled(pixels, ScalarType.Float64);
        var posterior = Weights(precise);
        for (var earlier = 0; earlier < channel; earlier++)
            posterior = posterior.Plus(LogMass(precise, values, earlier));
        posterior = posterior.softmax(1);
        var mean = ShiftedMean(precise, channel, values);
        var logScale = LogScale(precise, channel);
        var grid = IntegersBelow(Levels, ScalarType.Float64, output.device).div(Kept(127.5)).sub(Kept(1)).view(1, Levels, 1, 1);
        var total = zeros([output.size(0), Levels, output.size(2), output.size(3)], ScalarType.Float64, output.device);
        for (var component = 0; component < Components; component++)
        {
            using var perComponent = NewDisposeScope();
            var logMass = LogMass(grid, mean.narrow(1, component, 1), logScale.narrow(1, component, 1)); // (B, 256, H, W)
            total.addcmul_(posterior.narrow(1, component, 1), logMass.exp_(), Kept(1));
        }
        return total.div_(total.sum(1, true)).to(output.dtype).MoveToOuterDisposeScope();
    }

    private Tensor Weights(Tensor output) => output.narrow(1, 0, Components);

    private Tensor Part(Tensor output, int channel, int part) => output.narrow(1, Components * (1 + channel * Parts + part), Components);

    private Tensor LogScale(Tensor output, int channel) => Part(output, channel, 1).clamp(min: Kept(LeastLogScale));

    /// <param name="output">(B, OutputChannels, H, W).</param>
    /// <param name="channel">Image channel.</param>
    /// <param name="earlier">Values of at least the channels before it, (B, 1 or n, H, W) each, on [−1, 1].</param>
    private Tensor ShiftedMean(Tensor output, int channel, IReadOnlyList<Tensor> earlier)
    {
        var mean = Part(output, channel, 0);
        return channel switch
        {
            0 => mean,
            1 => mean.Plus(Part(output, 0, 2).tanh() * earlier[0]),
            _ => mean.Plus(Part(output, 1, 2).tanh() * earlier[0]).Plus(Part(output, 2, 2).tanh() * earlier[1]),
        };
    }

    private Tensor LogMass(Tensor output, IReadOnlyList<Tensor> values, int channel) =>
        LogMass(values[channel], ShiftedMean(output, channel, values), LogScale(output, channel));

    /// <summary>log of the mass of the bin around <paramref name="value"/>; all three broadcast.</summary>
    /// <remarks>
    /// With a = (x − μ)/σ, h = 1/(255 σ), E = e^−|a|, g = e^−h: σ(a + h) − σ(a − h) = E (1 − g²) / (E (1 + g²) + g (1 + E²)),
    /// which has no cancellation.
    /// </remarks>
    internal static Tensor LogMass(Tensor value, Tensor mean, Tensor logScale)
    {
        using var scope = NewDisposeScope();
        var inverse = logScale.neg().exp();
        var a = (value - mean) * inverse;
        var h = inverse * Kept(HalfBin);
        var distance = a.abs();
        var (E, g) = (distance.neg().exp(), h.neg().exp());
        // the bound is far below any mass that is used; it keeps the gradient of an unused logarithm finite
        var width = h.mul(Kept(-2)).expm1().neg().clamp(min: Kept(1e-12));
        var inside = width.log() - distance - (E * (g * g).Plus(Kept(1))).Plus(g * (E * E).Plus(Kept(1))).log();
        var density = -distance - logScale - Kept(2) * E.log1p() - Kept(Math.Log(127.5));
        var body = where(inside > Kept(Math.Log(LeastMass)), inside, density);
        var atZero = nn.functional.logsigmoid(a.Plus(h));
        var atTop = nn.functional.logsigmoid(h - a);
        return where(value < Kept(-0.999), atZero, where(value > Kept(0.999), atTop, body)).MoveToOuterDisposeScope();
    }

    /// <returns>Each channel's pixels on [−1, 1], (B, 1, H, W).</returns>
    private Tensor[] Scaled(Tensor pixels, ScalarType type)
    {
        var values = pixels.to(type).div(Kept(127.5)).sub(Kept(1));
        return [.. Enumerable.Range(0, ImageChannels).Select(channel => values.narrow(1, channel, 1))];
    }
}
