using System.Runtime.InteropServices;

namespace DQ.Core.Native;

/// <summary>Functions of libtorch that TorchSharp's bridge does not export, found by their C++ symbols.</summary>
/// <remarks>
/// libtorch promises no binary interface. Where a symbol is missing, graphs and streams are not used, and bfloat16 is refused. Only functions with plain
/// arguments are called: numbers, pointers and structs of at most two registers. A C++ exception in one of them ends the process.
/// Only the calling convention of x64 and Arm64 Linux is used.
/// </remarks>
internal static class TorchSymbols
{
    private static readonly Lazy<nint[]> libraries = new(() =>
        OperatingSystem.IsLinux()
            ?
            [
                .. new[] { "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so" }
                    .Select(name => Path.Combine(LibTorch.Load().Folder, name))
                    .Select(file => File.Exists(file) && NativeLibrary.TryLoad(file, out var handle) ? handle : 0)
                    .Where(handle => handle != 0),
            ]
            : []
    );

    /// <summary>Address of a function, or 0 if this libtorch lacks it.</summary>
    public static nint Find(string symbol)
    {
        foreach (var library in libraries.Value)
            if (NativeLibrary.TryGetExport(library, symbol, out var address))
                return address;
        return 0;
    }
}
