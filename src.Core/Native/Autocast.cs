using static TorchSharp.torch;

namespace DQ.Core.Native;

/// <summary>
/// libtorch's autocast on the present thread: convolutions and matrix products take their arguments as bfloat16. Weights and gradients of
/// weights stay float32.
/// </summary>
/// <remarks>Source: PyTorch's <c>torch.autocast</c>, whose functions of <c>at::autocast</c> are called. They are per thread.</remarks>
internal static unsafe class Autocast
{
    private static readonly delegate* unmanaged<sbyte, byte> isEnabled = (delegate* unmanaged<sbyte, byte>)
        TorchSymbols.Find("_ZN2at8autocast19is_autocast_enabledEN3c1010DeviceTypeE");

    private static readonly delegate* unmanaged<sbyte, byte, void> setEnabled = (delegate* unmanaged<sbyte, byte, void>)
        TorchSymbols.Find("_ZN2at8autocast20set_autocast_enabledEN3c1010DeviceTypeEb");

    private static readonly delegate* unmanaged<sbyte, sbyte, void> setType = (delegate* unmanaged<sbyte, sbyte, void>)
        TorchSymbols.Find("_ZN2at8autocast18set_autocast_dtypeEN3c1010DeviceTypeENS1_10ScalarTypeE");

    private static readonly delegate* unmanaged<int> enter = (delegate* unmanaged<int>)
        TorchSymbols.Find("_ZN2at8autocast17increment_nestingEv");

    private static readonly delegate* unmanaged<int> leave = (delegate* unmanaged<int>)
        TorchSymbols.Find("_ZN2at8autocast17decrement_nestingEv");

    private static readonly delegate* unmanaged<void> clearCache = (delegate* unmanaged<void>)
        TorchSymbols.Find("_ZN2at8autocast11clear_cacheEv");

    /// <summary>False if this libtorch does not export autocast.</summary>
    public static bool IsAvailable =>
        isEnabled != null && setEnabled != null && setType != null && enter != null && leave != null && clearCache != null;

    /// <summary>Turns bfloat16 on for the device until the result is disposed. The casts of weights are made once within that
    /// time.</summary>
    /// <exception cref="NotSupportedException">This libtorch does not export autocast.</exception>
    public static IDisposable BFloat16(Device device)
    {
        if (!IsAvailable)
            throw new NotSupportedException("precision bfloat16: this libtorch does not export its autocast");
        var kind = (sbyte)device.type;
        var before = isEnabled(kind);
        enter();
        setType(kind, (sbyte)ScalarType.BFloat16);
        setEnabled(kind, 1);
        return new Undo(() =>
        {
            setEnabled(kind, before);
            if (leave() == 0)
                clearCache();
        });
    }

    /// <summary>Float32 again, until the result is disposed: for quantizers and likelihoods within a pass.</summary>
    /// <param name="device">The device of the tensors.</param>
    public static IDisposable? Off(Device device)
    {
        var kind = (sbyte)device.type;
        if (!IsAvailable || isEnabled(kind) == 0)
            return null;
        setEnabled(kind, 0);
        return new Undo(() => setEnabled(kind, 1));
    }

    private sealed class Undo(Action action) : IDisposable
    {
        public void Dispose() => action();
    }
}
