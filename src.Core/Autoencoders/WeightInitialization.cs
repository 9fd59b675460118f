using DQ.Core.Likelihoods;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace DQ.Core.Autoencoders;

/// <summary>First weights that keep the size of signals through the network's depth.</summary>
/// <remarks>
/// He et al. 2015, <i>Delving Deep into Rectifiers</i>: normal weights of variance 2 / fan-in before a ReLU, zero biases.
/// The library's default (and so the released code's) has a sixth of that variance: after a dozen layers the quantizers' input hardly
/// depends on the image, and it takes hundreds of steps to change this. The last convolution of a residual branch starts at zero (Goyal et
/// al. 2017: blocks start as the identity). Linear layers (projections to the quantizers, and from codes of few dimensions) have variance 1
/// / fan-in. The output layer keeps the library's default weights, and the likelihood chooses its biases.
/// </remarks>
internal static class WeightInitialization
{
    /// <param name="model">A model that consists of this folder's blocks.</param>
    /// <param name="likelihood">The likelihood that chooses the biases of the model's output layer; null for a model without one.</param>
    public static void Apply(nn.Module model, Likelihood? likelihood = null)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        foreach (var (name, module) in model.named_modules())
            switch (module)
            {
                case Conv2d output when likelihood is not null && name == "decoder.2":
                    likelihood.InitializeBias(output.bias!);
                    break;
                case Conv2d convolution when name.EndsWith("conv.3", StringComparison.Ordinal):
                    convolution.weight!.zero_();
                    convolution.bias!.zero_();
                    break;
                case Conv2d convolution:
                    var linear =
                        name.StartsWith("projections", StringComparison.Ordinal) || name.StartsWith("quantizers", StringComparison.Ordinal);
                    var gain = linear ? 1.0 : 2.0;
                    Normal(convolution.weight!, gain / (convolution.weight!.numel() / convolution.weight.shape[0]));
                    convolution.bias!.zero_();
                    break;
                case ConvTranspose2d transposed:
                    // 4×4 kernels at stride 2: each output position sees in · (4/2)² inputs
                    Normal(transposed.weight!, 2.0 / (transposed.weight!.shape[0] * 4));
                    transposed.bias!.zero_();
                    break;
            }
    }

    private static void Normal(Tensor weight, double variance) => weight.normal_(0, Math.Sqrt(variance));
}
