using DQ.Core.Native;
using static TorchSharp.torch;

namespace DQ.Core.Likelihoods;

/// <summary>
/// The distribution of the pixels that the decoder's output describes. Axes: B batch, C image channels, H W height and width. A dimension
/// is one channel of one pixel.
/// </summary>
public abstract class Likelihood
{
    /// <summary>Number of values of an 8-bit pixel.</summary>
    protected const int Levels = 256;

    private protected Likelihood(int imageChannels)
    {
        if (imageChannels is not (1 or 3))
            throw new ArgumentOutOfRangeException(nameof(imageChannels), imageChannels, "expected 1 or 3");
        ImageChannels = imageChannels;
    }

    /// <exception cref="ArgumentException">The specification has problems.</exception>
    public static Likelihood Create(LikelihoodSpec spec, int imageChannels)
    {
        foreach (var problem in spec.Problems())
            throw new ArgumentException($"likelihood {problem.Key}: {problem.Message}", nameof(spec));
        return spec.Kind switch
        {
            "squared_error" => new SquaredError(imageChannels),
            "categorical" => new Categorical(imageChannels),
            _ => new LogisticMixture(imageChannels, spec.Components),
        };
    }

    /// <summary>Image channels C: 3 or 1.</summary>
    public int ImageChannels { get; }

    /// <summary>Channels of the decoder's output.</summary>
    public abstract int OutputChannels { get; }

    /// <summary>True when <see cref="Loss"/> is −log p(pixels | output); false for the squared error, which has no units of information.</summary>
    public abstract bool IsDensity { get; }

    /// <summary>Reconstruction loss, differentiable in <paramref name="output"/>.</summary>
    /// <param name="output">(B, OutputChannels, H, W), float32 or float64.</param>
    /// <param name="pixels">(B, C, H, W) uint8, the true pixels, on the same device.</param>
    /// <returns>(B) of the output's type: nats per dimension; for the squared error, its mean on normalized values.</returns>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    public Tensor Loss(Tensor output, Tensor pixels)
    {
        Expect(output);
        var expected = new[] { output.size(0), ImageChannels, output.size(2), output.size(3) };
        if (!pixels.shape.SequenceEqual(expected))
            throw new ArgumentException($"expected pixels of shape ({Shape(expected)}), got ({Shape(pixels.shape)})", nameof(pixels));
        if (pixels.dtype != ScalarType.Byte)
            throw new ArgumentException($"expected uint8 pixels, got {pixels.dtype}", nameof(pixels));
        using var float32 = Autocast.Off(output.device);
        return LossOf(output, pixels);
    }

    /// <summary>
    /// Compiles what losses on a device need; without it, the first loss does. Call it before a CUDA graph is captured.
    /// </summary>
    public virtual void Prepare(Device device) { }

    private protected abstract Tensor LossOf(Tensor output, Tensor pixels);

    /// <summary>Sets the biases (OutputChannels) of the layer that makes the output, so that training starts from a reasonable
    /// density.</summary>
    public virtual void InitializeBias(Tensor bias) => bias.zero_();

    /// <summary>The expected pixel: (B, C, H, W) float32 in [0, 255].</summary>
    public abstract Tensor Mean(Tensor output);

    /// <summary>
    /// (B, C, H, W) uint8: every channel's most probable value, given the chosen values of the channels before it.
    /// </summary>
    public virtual Tensor Mode(Tensor output)
    {
        Expect(output);
        using var scope = NewDisposeScope();
        using var none = no_grad();
        var (batch, height, width) = (output.size(0), output.size(2), output.size(3));
        var pixels = zeros([batch, ImageChannels, height, width], ScalarType.Byte, output.device);
        // all 256 probabilities of a pixel are in memory at once, so a large image is processed in strips of rows
        var strip = Math.Clamp(StripPixels / Math.Max(1, batch * width), 1, Math.Max(1, height));
        for (long top = 0; top < height; top += strip)
        {
            using var perStrip = NewDisposeScope();
            var rows = Math.Min(strip, height - top);
            var (part, chosen) = (output.narrow(2, top, rows), pixels.narrow(2, top, rows));
            for (var channel = 0; channel < ImageChannels; channel++)
                chosen.select(1, channel).copy_(BinProbabilities(part, chosen, channel).argmax(1));
        }
        return pixels.MoveToOuterDisposeScope();
    }

    private const long StripPixels = 1 << 15;

    /// <summary>A sample of all pixels, (B, C, H, W) uint8. On one device it is a pure function of output and seed.</summary>
    public abstract Tensor Sample(Tensor output, long seed);

    /// <summary>
    /// p(value of <paramref name="channel"/> | true values of the channels before it) for all 256 values, as an entropy coder needs it.
    /// </summary>
    /// <param name="output">(B, OutputChannels, H, W).</param>
    /// <param name="pixels">(B, C, H, W) uint8; only channels before <paramref name="channel"/> are read.</param>
    /// <param name="channel">0…C−1.</param>
    /// <returns>(B, 256, H, W) of the output's type; sums to one over the values.</returns>
    /// <exception cref="NotSupportedException">The squared error has no probabilities.</exception>
    public abstract Tensor BinProbabilities(Tensor output, Tensor pixels, int channel);

    private protected void Expect(Tensor output)
    {
        if (output.dim() != 4 || output.size(1) != OutputChannels)
            throw new ArgumentException(
                $"expected an output of shape (B, {OutputChannels}, H, W), got ({Shape(output.shape)})",
                nameof(output)
            );
    }

    private protected void ExpectChannel(int channel)
    {
        if (channel < 0 || channel >= ImageChannels)
            throw new ArgumentOutOfRangeException(nameof(channel), channel, $"expected 0 to {ImageChannels - 1}");
    }

    private static string Shape(IEnumerable<long> shape) => string.Join(", ", shape);
}
