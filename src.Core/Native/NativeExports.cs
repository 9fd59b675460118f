using System.Runtime.InteropServices;

namespace DQ.Core.Native;

/// <summary>A library whose functions are called by pointer.</summary>
internal sealed class NativeExports
{
    private readonly nint library;
    private readonly string name;

    /// <param name="candidates">Files, or names that the system's loader searches for; the first that loads is taken.</param>
    /// <exception cref="CudaKernelException">None loads.</exception>
    public NativeExports(params IReadOnlyList<string> candidates)
    {
        foreach (var candidate in candidates)
            if (NativeLibrary.TryLoad(candidate, out library))
            {
                name = candidate;
                return;
            }
        throw new CudaKernelException($"none of these libraries loads: {string.Join(", ", candidates)}");
    }

    /// <exception cref="CudaKernelException">The library has no such function.</exception>
    public nint this[string function] =>
        NativeLibrary.TryGetExport(library, function, out var address)
            ? address
            : throw new CudaKernelException($"{name} has no function {function}");
}
