using DQ.Core.Native;
using static TorchSharp.torch;

namespace DQ.Core.Training;

/// <summary>
/// The number formats of a training pass: <c>float32</c>; <c>tf32</c>, convolutions on a GPU round their factors to 10 bits of mantissa;
/// <c>bfloat16</c>, convolutions and linear maps work in bfloat16.
/// </summary>
/// <remarks>
/// Weights, codebooks, quantizers, likelihood and optimizer are float32 in all of them, and so is every pass outside of training.
/// cuDNN's search for the fastest algorithm is left off: the tests of CUDA took more than three times as long with it (docs/log.md).
/// </remarks>
public static class NumberFormats
{
    public const string Float32 = "float32";
    public const string TF32 = "tf32";
    public const string BFloat16 = "bfloat16";

    public static IReadOnlyList<string> Names { get; } = [Float32, TF32, BFloat16];

    /// <summary>Why a device can't train in a format; null if it can.</summary>
    public static string? Problem(string precision, Device device) =>
        precision switch
        {
            TF32 when device.type == TorchSharp.DeviceType.CPU => $"expected {Float32} or {BFloat16} on the CPU, got {TF32}",
            BFloat16 when !Autocast.IsAvailable => $"expected {Float32}: this libtorch does not export its autocast, got {BFloat16}",
            _ => null,
        };

    /// <summary>Sets what holds for all threads, until the result is disposed: for a step, with its backward pass.</summary>
    internal static IDisposable? BeginStep(string precision, Device device)
    {
        if (device.type != TorchSharp.DeviceType.CUDA || precision != TF32)
            return null;
        backends.cudnn.allow_tf32 = true;
        return new Restored();
    }

    /// <summary>Sets the formats of the present thread, until the result is disposed: for a forward pass.</summary>
    /// <exception cref="NotSupportedException">bfloat16, and this libtorch does not export its autocast.</exception>
    internal static IDisposable? BeginPass(string precision, Device device) => precision == BFloat16 ? Autocast.BFloat16(device) : null;

    private sealed class Restored : IDisposable
    {
        public void Dispose() => backends.cudnn.allow_tf32 = false;
    }
}
