using DQ.Core.Autoencoders;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace DQ.Core.Measurement;

/// <summary>One use of a convolution in a pass: its layer, and the shapes (B, C, H, W) of input and output.</summary>
public sealed record TracedConvolution(Convolution Layer, long[] Input, long[] Output)
{
    /// <summary>Multiply-adds of the forward pass: one per weight and position at which it is applied. Biases are not counted.</summary>
    public long MultiplyAdds
    {
        get
        {
            // a transposed convolution applies its kernel at every input position, a plain one at every output position
            var positions = Layer.transposed ? Input : Output;
            return positions[0] * positions[2] * positions[3] * Layer.weight.numel();
        }
    }
}

/// <summary>Records the convolutions of one pass through a model.</summary>
public static class ConvolutionTrace
{
    /// <param name="model">The model; its mode is restored.</param>
    /// <param name="pixels">(B, C, H, W) uint8, on the model's device.</param>
    public static IReadOnlyList<TracedConvolution> Of(HierarchicalAutoencoder model, Tensor pixels)
    {
        var seen = new List<TracedConvolution>();
        var layers = model.modules().OfType<Convolution>().ToArray();
        var hooks = layers
            .Select(layer =>
                layer.register_forward_hook(
                    (_, input, output) =>
                    {
                        seen.Add(new(layer, input.shape, output.shape));
                        return output;
                    }
                )
            )
            .ToArray();
        var training = model.training;
        try
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            model.eval(); // in evaluation mode quantizers collect no statistics
            model.Run(pixels);
            return seen;
        }
        finally
        {
            model.train(training);
            foreach (var hook in hooks)
                hook.remove();
        }
    }
}
