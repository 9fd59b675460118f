using DQ.Core.Autoencoders;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace DQ.Core.Measurement;

/// <summary>One use of a convolution in a pass: its layer and the shapes (B, C, H, W) that went in and came out.</summary>
public sealed record TracedConvolution(Convolution Layer, long[] Input, long[] Output)
{
    /// <summary>Multiply-adds forward: one per weight and position it is applied at; biases not counted.</summary>
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

/// <summary>The convolutions of one pass through a model, found by watching one.</summary>
public static class ConvolutionTrace
{
    /// <param name="model">Its mode is kept.</param>
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
            model.eval(); // quantizers collect nothing to learn from
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
