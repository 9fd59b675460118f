using DQ.Core.Native;
using static TorchSharp.torch;

namespace DQ.Core.Likelihoods;

/// <summary>
/// <see cref="FusedLoss"/> on a CUDA device: loss and gradient are computed in the forward pass. Nothing waits for the device.
/// </summary>
internal static class FusedCudaLoss
{
    /// <returns>(B) nats per dimension, differentiable in <paramref name="output"/>.</returns>
    public static Tensor Loss(LogisticMixtureCuda kernel, Tensor output, Tensor pixels)
    {
        using var scope = NewDisposeScope();
        var module = kernel.Module(output.device_index)!;
        var planes = output.contiguous();
        var loss =
            is_grad_enabled() && planes.requires_grad
                ? FusedCudaLossFunction.apply(planes, new FusedCudaLossArguments(kernel, module, pixels.contiguous()))
                : kernel.Run(module, planes, pixels.contiguous(), null);
        return loss.MoveToOuterDisposeScope();
    }
}

internal sealed record FusedCudaLossArguments(LogisticMixtureCuda Kernel, CudaModule Module, Tensor Pixels)
{
    private int uses;

    /// <summary>True once: the gradient of the forward pass is changed in place, and a graph that is kept needs another.</summary>
    public bool TakeFirst() => Interlocked.Increment(ref uses) == 1;
}

/// <summary>The autograd node of <see cref="FusedCudaLoss"/>: its inputs are the output planes and
/// <see cref="FusedCudaLossArguments"/>.</summary>
/// <remarks>To read the weights of the images would wait for the device. So a kernel reads them, and changes the gradient only if
/// they are not those of the mean.</remarks>
internal sealed class FusedCudaLossFunction : autograd.SingleTensorFunction<FusedCudaLossFunction>
{
    private const string Arguments = "arguments";

    public override string Name => nameof(FusedCudaLossFunction);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var output = (Tensor)vars[0];
        var arguments = (FusedCudaLossArguments)vars[1];
        var gradient = empty_like(output);
        ctx.save_for_backward([gradient, output, arguments.Pixels]);
        ctx.save_data(Arguments, arguments);
        return arguments.Kernel.Run(arguments.Module, output, arguments.Pixels, gradient);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        var arguments = (FusedCudaLossArguments)ctx.get_data(Arguments);
        var saved = ctx.get_saved_variables();
        var (gradient, output, pixels) = (saved[0], saved[1], saved[2]);
        if (!arguments.TakeFirst())
        {
            gradient = empty_like(output);
            arguments.Kernel.Run(arguments.Module, output, pixels, gradient).Dispose();
        }
        using var weights = grad_output.contiguous();
        arguments.Kernel.Weigh(arguments.Module, gradient, weights);
        return [gradient, null!];
    }
}
