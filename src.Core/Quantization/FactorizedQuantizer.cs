using DQ.Core.Parallel;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace DQ.Core.Quantization;

/// <summary>
/// Codes of few dimensions: they are looked up in n dimensions, and a linear map per codebook expands them to the decoder's width D.
/// </summary>
/// <remarks>
/// Source: Yu et al. 2022, <i>Vector-quantized Image Modeling with Improved VQGAN</i>, section 3.2, "factorized codes". The projection down to
/// n dimensions is the model's own 1×1 convolution to <see cref="InputChannels"/>, because two successive linear maps are equivalent to
/// one. Latent loss and errors are computed in n dimensions.
/// State-dict keys: <c>inner.…</c>, <c>up.weight</c> (M·D, n, 1, 1),
/// <c>up.bias</c>.
/// </remarks>
public sealed class FactorizedQuantizer : Quantizer
{
    [ComponentName(Name = "inner")]
    private readonly CodebookQuantizer inner;

    [ComponentName(Name = "up")]
    private readonly Conv2d up;

    /// <param name="inner">The quantizer in n dimensions, which is disposed with this one.</param>
    /// <param name="width">D.</param>
    public FactorizedQuantizer(CodebookQuantizer inner, int width)
        : base(nameof(FactorizedQuantizer))
    {
        this.inner = inner;
        var groups = inner.OutputChannels / inner.Width;
        up = nn.Conv2d(inner.OutputChannels, groups * width, 1, groups: groups);
        OutputChannels = groups * width;
        RegisterComponents();
    }

    public override int Codebooks => inner.Codebooks;

    public override int CodeCount => inner.CodeCount;

    public override int InputChannels => inner.InputChannels;

    public override int OutputChannels { get; }

    public override long MultiplyAddsPerPosition => inner.MultiplyAddsPerPosition + (long)OutputChannels * inner.Width;

    public override bool NeedsInitialization => inner.NeedsInitialization;

    public override void Initialize(IReadOnlyList<Tensor> maps, long seed, Sharing? sharing = null) =>
        inner.Initialize(maps, seed, sharing);

    public override IReadOnlyList<Tensor> Collected => inner.Collected;

    public override long[] Learn(long seed, long step) => inner.Learn(seed, step);

    public override void Forget() => inner.Forget();

    protected override Quantized QuantizeMap(Tensor map, TrainingMoment moment)
    {
        var quantized = inner.Quantize(map, moment);
        return quantized with { Map = up.forward(quantized.Map) };
    }

    protected override Tensor EmbedCodes(Tensor codes) => up.forward(inner.Embed(codes));
}
