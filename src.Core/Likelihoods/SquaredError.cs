using static DQ.Core.Native.HeldOperations;
using static TorchSharp.torch;

namespace DQ.Core.Likelihoods;

/// <summary>Mean squared error on normalized values: the output is the image on the network's input scale. Not a likelihood.</summary>
public sealed class SquaredError(int imageChannels) : Likelihood(imageChannels)
{
    public override int OutputChannels => ImageChannels;

    public override bool IsDensity => false;

    private protected override Tensor LossOf(Tensor output, Tensor pixels)
    {
        using var scope = NewDisposeScope();
        return output.sub(PixelNormalization.Normalize(pixels)).Squared().mean([1, 2, 3]).MoveToOuterDisposeScope();
    }

    public override Tensor Mean(Tensor output)
    {
        Expect(output);
        using var scope = NewDisposeScope();
        return PixelNormalization.Denormalize(output.detach()).to(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <summary>The expected pixel, rounded.</summary>
    public override Tensor Mode(Tensor output)
    {
        using var scope = NewDisposeScope();
        return Mean(output).round().to(ScalarType.Byte).MoveToOuterDisposeScope();
    }

    /// <summary>The same as <see cref="Mode"/>: there is no distribution to draw from.</summary>
    public override Tensor Sample(Tensor output, long seed) => Mode(output);

    public override Tensor BinProbabilities(Tensor output, Tensor pixels, int channel) =>
        throw new NotSupportedException("the squared error gives no probabilities; expected a categorical or logistic_mixture likelihood");
}
