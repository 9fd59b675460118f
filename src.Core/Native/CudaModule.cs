namespace DQ.Core.Native;

/// <summary>Compiled kernels on one device.</summary>
internal sealed unsafe class CudaModule
{
    private readonly CudaDriver driver;
    private readonly int device;
    private readonly nint context;
    private readonly IReadOnlyDictionary<string, nint> functions;

    public CudaModule(CudaDriver driver, int device, byte[] code, IReadOnlyList<string> names)
    {
        (this.driver, this.device) = (driver, device);
        context = driver.Context(device);
        functions = driver.Load(context, code, names);
    }

    /// <summary>Enqueues a kernel on libtorch's current stream. It neither waits nor allocates, so a CUDA graph can capture it.</summary>
    /// <param name="function">Name of the kernel.</param>
    /// <param name="blocks">Number of blocks, at least 1.</param>
    /// <param name="threads">Threads per block.</param>
    /// <param name="arguments">Addresses of the arguments, which are copied.</param>
    /// <exception cref="CudaKernelException">The driver refuses.</exception>
    public void Launch(string function, long blocks, int threads, void** arguments) =>
        driver.Launch(context, functions[function], checked((uint)blocks), (uint)threads, TorchExports.CurrentStream(device), arguments);
}
