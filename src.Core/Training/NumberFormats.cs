using DQ.Core.Native;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>
/// The number formats of a training pass: <c>float32</c>; <c>tf32</c>, convolutions on a GPU round their factors to 10 bits of mantissa;
/// <c>bfloat16</c>, convolutions and linear maps work in bfloat16.
/// </summary>
/// <remarks>
/// Weights, codebooks, quantizers, likelihood and optimizer are float32 in all of them, and so is every pass outside of training.
/// </remarks>
internal static unsafe class NumberFormats
{
    public const string Float32 = "float32";
    public const string TF32 = "tf32";
    public const string BFloat16 = "bfloat16";

    private static readonly delegate* unmanaged<nint> context = (delegate* unmanaged<nint>)TorchSymbols.Find("_ZN2at13globalContextEv");

    private static readonly delegate* unmanaged<nint, byte, void> setBenchmark = (delegate* unmanaged<nint, byte, void>)
        TorchSymbols.Find("_ZN2at7Context17setBenchmarkCuDNNEb");

    public static IReadOnlyList<string> Names { get; } = [Float32, TF32, BFloat16];

    /// <summary>Sets what holds for all threads, until the result is disposed: for a step, with its backward pass.</summary>
    public static IDisposable? BeginStep(string precision, Device device)
    {
        if (device.type != TorchSharp.DeviceType.CUDA)
            return null;
        // tries cuDNN's algorithms at the first use of a shape and keeps the fastest
        if (context != null && setBenchmark != null)
            setBenchmark(context(), 1);
        if (precision != TF32)
            return null;
        backends.cudnn.allow_tf32 = true;
        return new Restored();
    }

    /// <summary>Sets the formats of the present thread, until the result is disposed: for a forward pass.</summary>
    /// <exception cref="NotSupportedException">bfloat16, and this libtorch does not export its autocast.</exception>
    public static IDisposable? BeginPass(string precision, Device device) => precision == BFloat16 ? Autocast.BFloat16(device) : null;

    private sealed class Restored : IDisposable
    {
        public void Dispose() => backends.cudnn.allow_tf32 = false;
    }
}
