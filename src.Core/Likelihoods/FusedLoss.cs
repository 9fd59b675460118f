using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static DQ.Core.Native.Scalars;
using static TorchSharp.torch;

namespace DQ.Core.Likelihoods;

/// <summary>
/// Computes loss and gradient of float32 CPU outputs in one pass. The gradient is the only large tensor that it creates.
/// </summary>
/// <remarks>The gradient is that of the mean over the batch, which training uses. So the backward pass has nothing left to
/// compute.</remarks>
internal static class FusedLoss
{
    public static bool Takes(Tensor output) => output.dtype == ScalarType.Float32 && output.device.type == TorchSharp.DeviceType.CPU;

    /// <returns>(B) nats per dimension, differentiable in <paramref name="output"/>.</returns>
    public static Tensor Loss(ITileKernel kernel, Tensor output, Tensor pixels)
    {
        using var scope = NewDisposeScope();
        var planes = output.contiguous();
        var loss =
            is_grad_enabled() && planes.requires_grad
                ? FusedLossFunction.apply(planes, new FusedLossArguments(kernel, pixels.contiguous()))
                : Run(kernel, planes, pixels.contiguous(), null);
        return loss.MoveToOuterDisposeScope();
    }

    /// All tensors are contiguous. The gradient has the shape of the output and receives d(mean over B of the losses)/d output
    internal static unsafe Tensor Run(ITileKernel kernel, Tensor output, Tensor pixels, Tensor? gradient)
    {
        var (batch, area) = ((int)output.size(0), output.size(2) * output.size(3));
        var losses = new float[batch];
        if (output.numel() > 0)
            new TileRun(
                kernel,
                batch,
                area,
                Address<float>(output),
                Address<byte>(pixels),
                gradient is null ? null : Address<float>(gradient)
            ).Run(losses);
        return tensor(losses);
    }

    /// A view of the first element, because a span can't cover a tensor above 2 GB
    internal static unsafe T* Address<T>(Tensor contiguous)
        where T : unmanaged
    {
        using var first = contiguous.view(-1).narrow(0, 0, 1);
        return (T*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes));
    }
}

internal sealed record FusedLossArguments(ITileKernel Kernel, Tensor Pixels);

/// <summary>The autograd node of <see cref="FusedLoss"/>: its inputs are the output planes and <see cref="FusedLossArguments"/>.</summary>
internal sealed class FusedLossFunction : autograd.SingleTensorFunction<FusedLossFunction>
{
    public override string Name => nameof(FusedLossFunction);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var output = (Tensor)vars[0];
        var arguments = (FusedLossArguments)vars[1];
        var gradient = empty_like(output);
        ctx.save_for_backward([gradient]);
        return FusedLoss.Run(arguments.Kernel, output, arguments.Pixels, gradient);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        var gradient = ctx.get_saved_variables()[0];
        var weights = grad_output.data<float>();
        var mean = 1f / weights.Count;
        foreach (var weight in weights)
            if (weight != mean)
                return [gradient * (grad_output / Kept(mean)).view(-1, 1, 1, 1), null!];
        return [gradient, null!];
    }
}
