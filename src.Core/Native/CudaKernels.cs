using System.Collections.Concurrent;

namespace DQ.Core.Native;

/// <summary>
/// Kernels that are compiled at run time for the device, once per process, and launched on libtorch's current stream. Where they
/// can't be used, callers use libtorch's operators.
/// </summary>
public static class CudaKernels
{
    private static readonly Lock Gate = new();
    private static readonly ConcurrentDictionary<(CudaSource Source, int Device), CudaModule?> modules = new();
    private static CudaDriver? driver;
    private static CudaCompiler? compiler;

    /// <summary>Whether kernels may be used. False demands libtorch's operators, to compare with.</summary>
    public static bool Allowed { get; set; } = true;

    /// <summary>Why the last kernel that was tried can't be used; null as long as none failed.</summary>
    public static string? Unavailable { get; private set; }

    /// <summary>A source's module for a device; the first call compiles it.</summary>
    /// <returns>Null if it can't be used, see <see cref="Unavailable"/>.</returns>
    internal static CudaModule? Find(CudaSource source, int device)
    {
        if (!Allowed)
            return null;
        if (modules.TryGetValue((source, device), out var module))
            return module;
        lock (Gate)
            return modules.GetOrAdd((source, device), key => Compile(key.Source, key.Device));
    }

    private static CudaModule? Compile(CudaSource source, int device)
    {
        try
        {
            driver ??= new CudaDriver();
            compiler ??= new CudaCompiler(LibTorch.Report?.Folder);
            TorchExports.Require();
            var code = compiler.Compile(source.Text(), source.File, source.Options(driver.Architecture(device)));
            return new CudaModule(driver, device, code, source.Functions);
        }
        catch (CudaKernelException error)
        {
            Unavailable = $"{source.File}: {error.Message}";
            return null;
        }
    }
}
