using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace DQ.Core.Native;

/// <summary>The current thread's CUDA stream in libtorch, and another to work on: graphs can't be captured on the default one.</summary>
internal sealed unsafe class CudaStream : IDisposable
{
    private static readonly delegate* unmanaged<byte, sbyte, Handle> fromPool = (delegate* unmanaged<byte, sbyte, Handle>)
        TorchSymbols.Find("_ZN3c104cuda17getStreamFromPoolEba");

    private static readonly delegate* unmanaged<sbyte, Handle> current = (delegate* unmanaged<sbyte, Handle>)
        TorchSymbols.Find("_ZN3c104cuda20getCurrentCUDAStreamEa");

    private static readonly delegate* unmanaged<Handle, void> setCurrent = (delegate* unmanaged<Handle, void>)
        TorchSymbols.Find("_ZN3c104cuda20setCurrentCUDAStreamENS0_10CUDAStreamE");

    private static readonly Dictionary<int, Handle> streams = [];

    private readonly Device device;
    private readonly Handle before;

    private CudaStream(Device device, Handle own)
    {
        this.device = device;
        before = current((sbyte)device.index);
        cuda.synchronize(device);
        setCurrent(own);
    }

    /// <summary>False without CUDA, or if this libtorch does not export its streams.</summary>
    public static bool IsAvailable => fromPool != null && current != null && setCurrent != null;

    /// <summary>Makes a stream of its own current, until the result is disposed. Both changes wait until the device has
    /// finished, so that the streams never work at the same time.</summary>
    /// <returns>Null on a device or a libtorch without streams.</returns>
    public static CudaStream? Enter(Device device)
    {
        if (device.type != TorchSharp.DeviceType.CUDA || !IsAvailable)
            return null;
        lock (streams)
        {
            var index = Math.Max(0, device.index);
            if (!streams.TryGetValue(index, out var own))
                streams[index] = own = fromPool(0, (sbyte)index);
            return new(new Device(TorchSharp.DeviceType.CUDA, index), own);
        }
    }

    public void Dispose()
    {
        try
        {
            cuda.synchronize(device);
        }
        finally
        {
            setCurrent(before);
        }
    }

    /// <summary>c10::Stream: device type, device index, number of the stream.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Handle(sbyte DeviceType, sbyte DeviceIndex, long Id);
}
