using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace DQ.Core.Parallel;

/// <summary>Tensors between ranks. Those of a device go through host memory.</summary>
public static class RankTensors
{
    /// <summary>Replaces a float32 tensor by its sum over all ranks.</summary>
    /// <param name="ranks">Who add up.</param>
    /// <param name="values">Contiguous, of the same shape on all ranks.</param>
    public static void Sum(this IRanks ranks, Tensor values) =>
        OnHost(values, host => ranks.Sum(MemoryMarshal.Cast<byte, float>(host.bytes)));

    /// <summary>Replaces tensors by their sums over all ranks, in one message.</summary>
    /// <param name="ranks">Who add up.</param>
    /// <param name="values">float32, of the same shapes on all ranks.</param>
    /// <param name="buffer">Room for all of them, one row, on their device.</param>
    public static void Sum(this IRanks ranks, IReadOnlyList<Tensor> values, Tensor buffer)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        Each((value, part) => part.copy_(value));
        ranks.Sum(buffer);
        Each((value, part) => value.copy_(part));

        void Each(Action<Tensor, Tensor> copy)
        {
            var start = 0L;
            foreach (var value in values)
            {
                var count = value.numel();
                copy(value, buffer.narrow(0, start, count).view(value.shape));
                start += count;
            }
        }
    }

    /// <summary>Replaces a tensor by that of rank 0.</summary>
    /// <param name="ranks">Who get it.</param>
    /// <param name="values">Contiguous, of the same shape and type on all ranks.</param>
    public static void Broadcast(this IRanks ranks, Tensor values) => OnHost(values, host => ranks.Broadcast(host.bytes));

    private static void OnHost(Tensor values, Action<Tensor> work)
    {
        if (values.numel() == 0)
            return;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var plain = values.detach();
        if (plain.device_type == TorchSharp.DeviceType.CPU && plain.is_contiguous())
        {
            work(plain);
            return;
        }
        var host = plain.cpu().contiguous();
        work(host);
        plain.copy_(host);
    }
}
