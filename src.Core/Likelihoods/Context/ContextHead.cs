using DQ.Core.Native;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Likelihoods.Context;

/// <summary>
/// The density of a pixel given the pixels above and to the left of it. A small network computes a mixture of logistics from the
/// neighbours, relative to a prediction and in units of the local contrast.
/// </summary>
/// <remarks>
/// After Zhang, Kang, McDonagh, Zhang (NeLLoC, 2021): a small local context suffices. Inputs: <see cref="ContextInputs"/>; outputs:
/// <see cref="ContextMixture"/>. Layers: enter → ReLU → hidden.0 → ReLU → further hidden layers, each added to its inputs → leave.
/// </remarks>
public sealed class ContextHead : nn.Module
{
    /// Factor for the first weights of the last layer, so that components begin near the prediction
    private const double FirstOutputs = 0.1;

    /// On a GPU, where all of their activations are in memory together
    private const long PixelsAtOnce = 1 << 18;

    [ComponentName(Name = "enter")]
    private readonly Linear enter;

    [ComponentName(Name = "hidden")]
    private readonly ModuleList<Linear> hidden;

    [ComponentName(Name = "leave")]
    private readonly Linear leave;

    /// <exception cref="ArgumentException">The spec has problems; the message lists them.</exception>
    public ContextHead(ContextSpec spec)
        : base(nameof(ContextHead))
    {
        if (spec.Problems().ToArray() is { Length: > 0 } problems)
            throw new ArgumentException(string.Join("; ", problems.Select(problem => $"{problem.Key}: {problem.Message}")), nameof(spec));
        Spec = spec;
        enter = nn.Linear(spec.Inputs, spec.Width);
        hidden = new([.. Enumerable.Range(0, spec.Depth).Select(_ => nn.Linear(spec.Width, spec.Width))]);
        leave = nn.Linear(spec.Width, spec.Outputs);
        RegisterComponents();
        using var none = no_grad();
        leave.weight!.mul_(Kept(FirstOutputs));
    }

    public ContextSpec Spec { get; }

    public long ParameterCount => parameters().Sum(parameter => parameter.numel());

    /// <summary>Multiply-adds of one pixel.</summary>
    public long MultiplyAdds => Layers.Sum(layer => layer.weight!.numel());

    private IEnumerable<Linear> Layers => [enter, .. hidden, leave];

    /// <summary>−ln p of some pixels: the mean over them and their channels, with a gradient.</summary>
    /// <param name="pixels">(B, C, H, W) uint8, on the weights' device.</param>
    /// <param name="positions">(P) int64, numbers of the pixels: image · H·W + row · W + column.</param>
    /// <param name="joined">(width, P) float32, added to the first layer's sums; null for none.</param>
    /// <returns>Scalar, nats per dimension.</returns>
    public Tensor Loss(Tensor pixels, Tensor positions, Tensor? joined = null)
    {
        using var scope = NewDisposeScope();
        Expect(pixels);
        if (pixels.device_type != DeviceType.CPU)
            return ByOperators(pixels, positions, joined).mean().div(Kept((long)Spec.Channels)).MoveToOuterDisposeScope();
        var chosen = Array.ConvertAll(positions.data<long>().ToArray(), position => (int)position);
        var arguments = new ContextArguments(Spec, pixels.contiguous(), chosen, joined is not null);
        var tensors = joined is null ? Parameters() : [.. Parameters(), joined.contiguous()];
        return ContextLossFunction.apply([.. tensors, arguments]).MoveToOuterDisposeScope();
    }

    /// <summary>−ln p of whole images.</summary>
    /// <param name="pixels">(B, C, H, W) uint8, on any device.</param>
    /// <param name="joined">(width, B·H·W), as above.</param>
    /// <returns>(B·H·W) nats of each pixel, summed over its channels, image by image.</returns>
    public float[] NatsPerPixel(Tensor pixels, Tensor? joined = null)
    {
        using var scope = NewDisposeScope();
        pixels = pixels.to(enter.weight!.device);
        Expect(pixels);
        if (pixels.device_type != DeviceType.CPU)
            return AllByOperators(pixels, joined);
        using var images = Margined(Spec, pixels.contiguous());
        using var pass = new ContextPass(Spec, Parameters());
        var all = Everywhere(pixels);
        var nats = new float[all.Length];
        pass.Nats(images, all, joined, nats);
        return nats;
    }

    /// <summary>The network's outputs for all pixels of images, before they become a mixture.</summary>
    /// <param name="pixels">(B, C, H, W) uint8, on the CPU.</param>
    /// <param name="joined">As above.</param>
    /// <returns>(<see cref="ContextSpec.Outputs"/>, B·H·W) float32.</returns>
    public Tensor Outputs(Tensor pixels, Tensor? joined = null)
    {
        using var scope = NewDisposeScope();
        Expect(pixels);
        using var images = Margined(Spec, pixels.contiguous());
        using var pass = new ContextPass(Spec, Parameters());
        return pass.Outputs(images, Everywhere(pixels), joined).MoveToOuterDisposeScope();
    }

    /// <summary>The trained weights as plain numbers.</summary>
    public ContextWeights Weights() => new(Spec, Plain(enter), [.. hidden.Select(Plain)], Plain(leave));

    internal static unsafe ContextImages Margined(ContextSpec spec, Tensor pixels)
    {
        var shape = pixels.shape;
        var first = pixels.numel() == 0 ? null : FusedLoss.Address<byte>(pixels);
        return new(first, (int)shape[0], spec.Channels, (int)shape[2], (int)shape[3], spec.Radius);
    }

    /// <summary>−ln p of pixels by libtorch's operators, (P) nats: on a GPU, and to compare with the CPU's own computation.</summary>
    internal Tensor ByOperators(Tensor pixels, Tensor positions, Tensor? joined)
    {
        using var float32 = Autocast.Off(pixels.device);
        return new ContextOperators(Spec, [.. Layers]).Nats(pixels, positions, joined);
    }

    private float[] AllByOperators(Tensor pixels, Tensor? joined)
    {
        using var none = no_grad();
        var all = pixels.shape[0] * pixels.shape[2] * pixels.shape[3];
        var nats = new List<float>((int)all);
        for (var start = 0L; start < all; start += PixelsAtOnce)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(PixelsAtOnce, all - start);
            var positions = IntegersBelow(count, device: pixels.device).Plus(Kept(start));
            nats.AddRange(ByOperators(pixels, positions, joined?.narrow(1, start, count)).cpu().data<float>());
        }
        return [.. nats];
    }

    private static int[] Everywhere(Tensor pixels) =>
        [.. Enumerable.Range(0, checked((int)(pixels.shape[0] * pixels.shape[2] * pixels.shape[3])))];

    private Tensor[] Parameters() => [.. Layers.SelectMany(layer => new Tensor[] { layer.weight!, layer.bias! })];

    private static ContextLayer Plain(Linear layer) =>
        new(
            (int)layer.weight!.shape[1],
            (int)layer.weight.shape[0],
            layer.weight.cpu().data<float>().ToArray(),
            layer.bias!.cpu().data<float>().ToArray()
        );

    private void Expect(Tensor pixels)
    {
        if (pixels.dim() != 4 || pixels.shape[1] != Spec.Channels || pixels.dtype != ScalarType.Byte)
            throw new ArgumentException(
                $"expected uint8 pixels of shape (B, {Spec.Channels}, H, W), got {pixels.dtype} ({string.Join(", ", pixels.shape)})",
                nameof(pixels)
            );
        if (pixels.device_type != enter.weight!.device_type)
            throw new ArgumentException(
                $"expected pixels and weights on one device, got {pixels.device} and {enter.weight!.device}",
                nameof(pixels)
            );
    }
}
