using TorchSharp;

namespace DQ.Core.Native;

/// <summary>What kernels need of libtorch and TorchSharp does not offer.</summary>
/// <remarks>These functions are part of libtorch's stable C interface, <c>torch/csrc/inductor/aoti_torch/c/shim.h</c>.</remarks>
internal static unsafe class TorchExports
{
    private static readonly delegate* unmanaged[Cdecl]<nint, nint*, int> dataPointer = (delegate* unmanaged[Cdecl]<nint, nint*, int>)
        TorchSymbols.Find("aoti_torch_get_data_ptr");

    private static readonly delegate* unmanaged[Cdecl]<int, nint*, int> currentStream = (delegate* unmanaged[Cdecl]<int, nint*, int>)
        TorchSymbols.Find("aoti_torch_get_current_cuda_stream");

    /// <exception cref="CudaKernelException">This libtorch lacks one of the functions.</exception>
    public static void Require()
    {
        if (dataPointer == null || currentStream == null)
            throw new CudaKernelException("this libtorch has no aoti_torch_get_data_ptr or no aoti_torch_get_current_cuda_stream");
    }

    /// <summary>Address of a tensor's first element, on its device. The tensor must be kept alive.</summary>
    public static nint Address(torch.Tensor tensor)
    {
        nint address;
        var status = dataPointer(tensor.Handle, &address);
        return status == 0 ? address : throw new CudaKernelException($"aoti_torch_get_data_ptr failed with status {status}");
    }

    /// <summary>The <c>CUstream</c> on which libtorch's operations of this thread run.</summary>
    public static nint CurrentStream(int device)
    {
        nint stream;
        var status = currentStream(device, &stream);
        return status == 0 ? stream : throw new CudaKernelException($"aoti_torch_get_current_cuda_stream failed with status {status}");
    }
}
