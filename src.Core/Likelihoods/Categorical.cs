using static DQ.Core.Native.HeldOperations;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Likelihoods;

/// <summary>
/// Every channel of every pixel is one of 256 classes, independently. Output channel <c>value · C + c</c> is the logit of
/// <c>value</c> for image channel c.
/// </summary>
public sealed class Categorical(int imageChannels) : Likelihood(imageChannels)
{
    public override int OutputChannels => Levels * ImageChannels;

    public override bool IsDensity => true;

    private protected override Tensor LossOf(Tensor output, Tensor pixels) =>
        FusedLoss.Takes(output) ? FusedLoss.Loss(new CategoricalKernel(ImageChannels, Levels), output, pixels) : TensorLoss(output, pixels);

    private Tensor TensorLoss(Tensor output, Tensor pixels)
    {
        using var scope = NewDisposeScope();
        var logits = ByChannel(output);
        var chosen = logits.gather(1, pixels.to(ScalarType.Int64).unsqueeze(1)).squeeze(1); // (B, C, H, W)
        return logits.logsumexp(1).sub(chosen).mean([1, 2, 3]).MoveToOuterDisposeScope();
    }

    public override Tensor Mean(Tensor output)
    {
        Expect(output);
        using var scope = NewDisposeScope();
        using var none = no_grad();
        var values = IntegersBelow(Levels, output.dtype, output.device).view(1, Levels, 1, 1, 1);
        return ByChannel(output).softmax(1).mul_(values).sum(1).clamp(Kept(0), Kept(255)).to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    public override Tensor Mode(Tensor output)
    {
        Expect(output);
        using var scope = NewDisposeScope();
        return ByChannel(output).argmax(1).to(ScalarType.Byte).MoveToOuterDisposeScope();
    }

    public override Tensor Sample(Tensor output, long seed)
    {
        Expect(output);
        using var scope = NewDisposeScope();
        using var none = no_grad();
        using var generator = new Generator((ulong)seed, CPU); // TorchSharp has no others
        var logits = ByChannel(output);
        // Gumbel's trick: the argmax of logits − log(−log u) is a draw from their softmax
        var noise = rand(logits.shape, logits.dtype, generator: generator).to(logits.device).log_().neg_().log_();
        return logits.sub(noise).argmax(1).to(ScalarType.Byte).MoveToOuterDisposeScope();
    }

    public override Tensor BinProbabilities(Tensor output, Tensor pixels, int channel)
    {
        Expect(output);
        ExpectChannel(channel);
        using var scope = NewDisposeScope();
        using var none = no_grad();
        return ByChannel(output).select(2, channel).softmax(1).MoveToOuterDisposeScope();
    }

    /// (B, 256·C, H, W) → (B, 256, C, H, W)
    private Tensor ByChannel(Tensor output) => output.reshape(output.size(0), Levels, ImageChannels, output.size(2), output.size(3));
}
