using DQ.Core.Likelihoods.Context;
using DQ.Core.Native;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Autoencoders;

/// <summary>
/// A context head that also uses the codes: a 1×1 map of the decoder's features is added to its first layer's sums. The map's first weights
/// are zero, so that the head begins like one without codes.
/// </summary>
/// <remarks>Axis legend: B batch, C decoder channels, H W height and width, U the head's width, P pixels.</remarks>
public sealed class FeatureContext : nn.Module
{
    [ComponentName(Name = "head")]
    private readonly ContextHead head;

    [ComponentName(Name = "join")]
    private readonly Linear join;

    /// <param name="spec">Spec of the head.</param>
    /// <param name="channels">Decoder channels C.</param>
    public FeatureContext(ContextSpec spec, int channels)
        : base(nameof(FeatureContext))
    {
        head = new(spec);
        join = nn.Linear(channels, spec.Width, hasBias: false);
        RegisterComponents();
        using var _ = no_grad();
        join.weight!.zero_();
    }

    /// <summary>Multiply-adds of one pixel.</summary>
    public long MultiplyAdds => head.MultiplyAdds + join.weight!.numel();

    /// <summary>−ln p(pixel | codes, pixels before it): the mean over some pixels and their channels, with gradients.</summary>
    /// <param name="features">Features (B, C, H, W) of the decoder.</param>
    /// <param name="pixels">(B, channels, H, W) uint8.</param>
    /// <param name="positions">(P) int64, numbers of the pixels, image · H·W + row · W + column; null for all.</param>
    public Tensor Loss(Tensor features, Tensor pixels, Tensor? positions)
    {
        using var scope = NewDisposeScope();
        using var float32 = Autocast.Off(features.device);
        var all = PixelMajor(features);
        var chosen = positions ?? IntegersBelow(all.shape[0], device: features.device);
        var seen = positions is null ? all : all.index_select(0, positions);
        return head.Loss(pixels, chosen, Joined(seen)).MoveToOuterDisposeScope();
    }

    /// <summary>−ln p(image | codes) of whole images, without gradients: (B) nats per dimension.</summary>
    /// <param name="features">As above.</param>
    /// <param name="pixels">As above.</param>
    public Tensor NatsPerDim(Tensor features, Tensor pixels)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var nats = tensor(head.NatsPerPixel(pixels, Joined(PixelMajor(features))), device: features.device);
        return nats.view(pixels.shape[0], -1).mean([1L]).div(Kept(pixels.shape[1])).MoveToOuterDisposeScope();
    }

    /// (B, C, H, W) → (B·H·W, C)
    private static Tensor PixelMajor(Tensor features) => features.permute(0, 2, 3, 1).reshape(-1, features.shape[1]);

    /// (P, C) → (U, P)
    private Tensor Joined(Tensor seen) => join.weight!.mm(seen.t());
}
