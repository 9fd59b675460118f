using System.Runtime.InteropServices;

namespace DQ.Core.Native;

/// <summary>
/// A CUDA graph: work that is recorded once and then launched as a whole. It reads and writes the same memory at every launch.
/// </summary>
/// <remarks>
/// <c>at::cuda::CUDAGraph</c>, which libtorch exports. The object lives in memory of this process that is larger than it and begins as
/// zeros. Work must be recorded on a stream that is not the default one, and must not wait for the device.
/// </remarks>
internal sealed unsafe class CudaGraph : IDisposable
{
    private const nuint Size = 16384; // the object has a few hundred bytes
    private const int Relaxed = 2; // cudaStreamCaptureModeRelaxed: other threads may allocate

    private static readonly delegate* unmanaged<void*, byte, void> construct = (delegate* unmanaged<void*, byte, void>)
        TorchSymbols.Find("_ZN2at4cuda9CUDAGraphC1Eb");

    private static readonly delegate* unmanaged<void*, ulong, ulong, int, void> begin = (delegate* unmanaged<
        void*,
        ulong,
        ulong,
        int,
        void>)
        TorchSymbols.Find("_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");

    private static readonly delegate* unmanaged<void*, void> end = (delegate* unmanaged<void*, void>)
        TorchSymbols.Find("_ZN2at4cuda9CUDAGraph11capture_endEv");

    private static readonly delegate* unmanaged<void*, void> replay = (delegate* unmanaged<void*, void>)
        TorchSymbols.Find("_ZN2at4cuda9CUDAGraph6replayEv");

    private static readonly delegate* unmanaged<void*, void> destruct = (delegate* unmanaged<void*, void>)
        TorchSymbols.Find("_ZN2at4cuda9CUDAGraphD1Ev");

    private readonly void* graph;

    public CudaGraph()
    {
        graph = NativeMemory.AllocZeroed(Size);
        construct(graph, 0);
    }

    /// <summary>False without CUDA, or if this libtorch does not export its graphs.</summary>
    public static bool IsAvailable =>
        construct != null && begin != null && end != null && replay != null && destruct != null && CudaStream.IsAvailable;

    /// <summary>Records the work of an action; nothing of it is computed.</summary>
    public void Capture(Action work)
    {
        begin(graph, 0, 0, Relaxed);
        try
        {
            work();
        }
        finally
        {
            end(graph);
        }
    }

    /// <summary>Launches the recorded work on the current stream.</summary>
    public void Launch() => replay(graph);

    public void Dispose()
    {
        destruct(graph);
        NativeMemory.Free(graph);
    }
}
