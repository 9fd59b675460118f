using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Likelihoods.Context;

/// <param name="Spec">Spec of the head.</param>
/// <param name="Pixels">(B, C, H, W) uint8, contiguous.</param>
/// <param name="Positions">Numbers of the pixels in the loss.</param>
/// <param name="HasJoined">Whether the last tensor is added to the first layer's sums.</param>
internal sealed record ContextArguments(ContextSpec Spec, Tensor Pixels, int[] Positions, bool HasJoined);

/// <summary>
/// The autograd node of <see cref="ContextHead.Loss"/>: its inputs are the parameters, the tensor added to the first layer's sums, and
/// <see cref="ContextArguments"/>. The forward pass computes the gradients, chunk by chunk, so the backward pass only scales them.
/// </summary>
internal sealed class ContextLossFunction : autograd.SingleTensorFunction<ContextLossFunction>
{
    public override string Name => nameof(ContextLossFunction);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var tensors = vars[..^1].Cast<Tensor>().ToArray();
        var arguments = (ContextArguments)vars[^1];
        var gradients = tensors.Select(tensor => zeros_like(tensor)).ToArray();
        ctx.save_for_backward([.. gradients]);
        return tensor((float)Run(arguments, tensors, gradients));
    }

    private static double Run(ContextArguments arguments, Tensor[] tensors, Tensor[] gradients)
    {
        var spec = arguments.Spec;
        using var images = ContextHead.Margined(spec, arguments.Pixels);
        using var pass = new ContextPass(spec, arguments.HasJoined ? tensors[..^1] : tensors);
        var share = 1.0 / ((double)arguments.Positions.Length * spec.Channels);
        return share * pass.Gradients(images, arguments.Positions, arguments.HasJoined ? tensors[^1] : null, gradients, (float)share);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        var gradients = ctx.get_saved_variables();
        var factor = grad_output.item<float>();
        return [.. gradients.Select(gradient => factor == 1 ? gradient : gradient * Kept(factor)), null!];
    }
}
