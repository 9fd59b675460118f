using TorchSharp.Modules;
using TorchSharp.Utils;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Autoencoders;

// The convolutional blocks of the released model, layer for layer, so that its weights fit (Fostiropoulos & Boehm,
// appendix A.4 and the released code). State-dict keys are the released ones; a residual block's layers 0 and 2 are ReLUs.
// Axis legend: B batch, C channels, H W height and width.

/// <summary>x + f(x), where f is ReLU, 3×3 convolution C→R, ReLU, 1×1 convolution R→C; (B, C, H, W) to the same.</summary>
public sealed class ResidualBlock : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "conv")]
    private readonly Sequential layers;

    public ResidualBlock(int channels, int residualChannels)
        : base(nameof(ResidualBlock))
    {
        layers = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, residualChannels, 3, padding: 1),
            new RectifyInPlace(),
            nn.Conv2d(residualChannels, channels, 1)
        );
        RegisterComponents();
    }

    public override Tensor forward(Tensor input) => layers.forward(input).add_(input, One);
}

/// <summary>Divides height and width by the stride, 2 or 4: (B, in, H, W) to (B, C, H/stride, W/stride). Outputs are not
/// negative.</summary>
public sealed class EncoderBlock : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "blocks")]
    private readonly Sequential layers;

    public EncoderBlock(int input, int channels, int residualBlocks, int residualChannels, int stride)
        : base(nameof(EncoderBlock))
    {
        List<nn.Module<Tensor, Tensor>> parts = [nn.Conv2d(input, channels / 2, 4, stride: 2, padding: 1), new RectifyInPlace()];
        if (stride == 4)
            parts.AddRange([nn.Conv2d(channels / 2, channels, 4, stride: 2, padding: 1), new RectifyInPlace()]);
        parts.Add(nn.Conv2d(stride == 4 ? channels : channels / 2, channels, 3, padding: 1));
        for (var block = 0; block < residualBlocks; block++)
            parts.Add(new ResidualBlock(channels, residualChannels));
        parts.Add(new RectifyInPlace());
        layers = nn.Sequential(parts);
        RegisterComponents();
    }

    public override Tensor forward(Tensor input) => layers.forward(input);
}

/// <summary>
/// Multiplies height and width by the stride, 2 or 4: (B, in, H, W) to (B, out, H·stride, W·stride). With stride 1 the size does not
/// change, and the output has C channels.
/// </summary>
public sealed class DecoderBlock : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "blocks")]
    private readonly Sequential layers;

    public DecoderBlock(int input, int output, int channels, int residualBlocks, int residualChannels, int stride)
        : base(nameof(DecoderBlock))
    {
        List<nn.Module<Tensor, Tensor>> parts = [nn.Conv2d(input, channels, 3, padding: 1)];
        for (var block = 0; block < residualBlocks; block++)
            parts.Add(new ResidualBlock(channels, residualChannels));
        parts.Add(new RectifyInPlace());
        if (stride == 4)
            parts.AddRange([
                nn.ConvTranspose2d(channels, channels / 2, 4, stride: 2, padding: 1),
                new RectifyInPlace(),
                nn.ConvTranspose2d(channels / 2, output, 4, stride: 2, padding: 1),
            ]);
        else if (stride == 2)
            parts.Add(nn.ConvTranspose2d(channels, output, 4, stride: 2, padding: 1));
        layers = nn.Sequential(parts);
        RegisterComponents();
    }

    public override Tensor forward(Tensor input) => layers.forward(input);
}

/// <summary>
/// ReLU in the memory of its input. TorchSharp's in-place ReLU returns the same handle, which Sequential then disposes. This one returns a
/// second handle.
/// </summary>
public sealed class RectifyInPlace() : nn.Module<Tensor, Tensor>(nameof(RectifyInPlace))
{
    public override Tensor forward(Tensor input) => input.relu_().alias();
}

/// <summary>Repeats every position factor × factor times: (B, C, H, W) to (B, C, H·factor, W·factor).</summary>
public sealed class NearestUpsample(int factor) : nn.Module<Tensor, Tensor>(nameof(NearestUpsample))
{
    public int Factor => factor;

    public override Tensor forward(Tensor input) =>
        factor == 1 ? input.alias() : nn.functional.interpolate(input, scale_factor: [factor, factor], mode: InterpolationMode.Nearest);
}
