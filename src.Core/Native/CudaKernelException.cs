namespace DQ.Core.Native;

/// <summary>A CUDA kernel could not be compiled or launched; the message says which call failed.</summary>
public sealed class CudaKernelException(string message) : Exception(message);
