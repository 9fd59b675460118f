using DQ.Core.Autoencoders;
using static TorchSharp.torch;

namespace DQ.Core.Features;

/// <summary>The encoding of one level of a trained autoencoder, before quantization.</summary>
public sealed class EncoderFeatures : FeatureExtractor
{
    private readonly HierarchicalAutoencoder model;
    private readonly int level;

    /// <param name="model">The model, which is set to evaluation mode and disposed with this.</param>
    /// <param name="level">0 is the bottom.</param>
    public EncoderFeatures(HierarchicalAutoencoder model, int level)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(level);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(level, model.Spec.Levels);
        (this.model, this.level) = (model, level);
        model.eval();
    }

    public override string Name => $"encoder, level {level}";

    public override Tensor Extract(Tensor pixels)
    {
        using var scope = NewDisposeScope();
        return model.Features(pixels.to(model.parameters().First().device))[level].MoveToOuterDisposeScope();
    }

    public override void Dispose() => model.Dispose();
}
