using TorchSharp;

namespace DQ.Core.Native;

/// <summary>What kernels need of libtorch and TorchSharp does not offer.</summary>
/// <remarks>These functions are part of libtorch's stable C interface, <c>torch/csrc/inductor/aoti_torch/c/shim.h</c>. Libraries
/// are found by name, because libtorch is loaded before there is a tensor.</remarks>
internal static unsafe class TorchExports
{
    private static readonly Lazy<nint> dataPointer = new(() => new NativeExports("libtorch_cpu.so")["aoti_torch_get_data_ptr"]);
    private static readonly Lazy<nint> currentStream = new(() =>
        new NativeExports("libtorch_cuda.so")["aoti_torch_get_current_cuda_stream"]
    );

    /// <summary>Address of a tensor's first element, on its device. The tensor must be kept alive.</summary>
    public static nint Address(torch.Tensor tensor)
    {
        nint address;
        var status = ((delegate* unmanaged[Cdecl]<nint, nint*, int>)dataPointer.Value)(tensor.Handle, &address);
        return status == 0 ? address : throw new CudaKernelException($"aoti_torch_get_data_ptr failed with status {status}");
    }

    /// <summary>The <c>CUstream</c> on which libtorch's operations of this thread run.</summary>
    public static nint CurrentStream(int device)
    {
        nint stream;
        var status = ((delegate* unmanaged[Cdecl]<int, nint*, int>)currentStream.Value)(device, &stream);
        return status == 0 ? stream : throw new CudaKernelException($"aoti_torch_get_current_cuda_stream failed with status {status}");
    }
}
