using DQ.Core.Autoencoders;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Evaluation;

/// <summary>Pictures decoded from codes.</summary>
public static class Reconstructions
{
    /// <summary>The expected pixels, uint8 (B, C, H, W), of code indices; the arguments are those of the model's Decode.</summary>
    public static Tensor Mean(HierarchicalAutoencoder model, IReadOnlyList<Tensor> codes, long height, long width)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Rounded(model.Likelihood.Mean(model.Decode(codes, height, width))).MoveToOuterDisposeScope();
    }

    /// <summary>Rounds expected pixels to uint8.</summary>
    public static Tensor Rounded(Tensor mean) => mean.round().clamp(Kept(0), Kept(255)).to_type(ScalarType.Byte);
}
