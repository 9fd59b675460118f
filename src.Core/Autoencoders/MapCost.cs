using TorchSharp.Modules;
using static TorchSharp.torch;

namespace DQ.Core.Autoencoders;

/// <summary>The multiply-adds to compute a map of one image, and the map's height and width. Trainings at several sizes are compared in
/// multiply-adds.</summary>
/// <remarks>
/// Multiply-adds of convolutions: a convolution computes every output from kernel × input channels; a transposed convolution adds every
/// input to kernel × output channels. Biases, activations and upsampling are not counted.
/// </remarks>
internal readonly record struct MapCost(long MultiplyAdds, long Height, long Width)
{
    public long Positions => Height * Width;

    /// <summary>The cost with more multiply-adds added.</summary>
    public MapCost Plus(long multiplyAdds) => this with { MultiplyAdds = MultiplyAdds + multiplyAdds };

    /// <summary>The same map with a cost of 0.</summary>
    public MapCost Anew() => this with { MultiplyAdds = 0 };

    /// <summary>The cost after a module that maps feature maps to feature maps, part by part.</summary>
    public MapCost Through(nn.Module module)
    {
        switch (module)
        {
            case Conv2d convolution:
            {
                var (height, width) = (Size(Height, 0), Size(Width, 1));
                return new(MultiplyAdds + height * width * Weights(convolution), height, width);

                long Size(long size, int axis) =>
                    (size + 2 * convolution.padding![axis] - convolution.kernel_size[axis]) / convolution.stride[axis] + 1;
            }
            case ConvTranspose2d transposed:
            {
                var spread = Plus(Positions * Weights(transposed));
                return spread with { Height = Size(Height, 0), Width = Size(Width, 1) };

                long Size(long size, int axis) =>
                    (size - 1) * transposed.stride[axis] - 2 * transposed.padding![axis] + transposed.kernel_size[axis];
            }
            case NearestUpsample upsample:
                return this with { Height = Height * upsample.Factor, Width = Width * upsample.Factor };
            default:
                return module.children().Aggregate(this, (cost, part) => cost.Through(part));
        }
    }

    private static long Weights(Convolution convolution) =>
        convolution.in_channels * convolution.out_channels * convolution.kernel_size[0] * convolution.kernel_size[1];
}
