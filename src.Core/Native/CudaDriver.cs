using System.Runtime.InteropServices;

namespace DQ.Core.Native;

/// <summary>The functions of the CUDA driver that load and launch kernels.</summary>
internal sealed unsafe class CudaDriver
{
    // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT of cuda.h
    private const int CapabilityMajor = 75;
    private const int CapabilityMinor = 76;
    private const int SharedMemoryCarveout = 9;

    private readonly delegate* unmanaged[Cdecl]<int*, int, int> deviceGet;
    private readonly delegate* unmanaged[Cdecl]<int*, int, int, int> deviceGetAttribute;
    private readonly delegate* unmanaged[Cdecl]<nint*, int, int> primaryContextRetain;
    private readonly delegate* unmanaged[Cdecl]<nint, int> contextPush;
    private readonly delegate* unmanaged[Cdecl]<nint*, int> contextPop;
    private readonly delegate* unmanaged[Cdecl]<nint*, void*, int> moduleLoadData;
    private readonly delegate* unmanaged[Cdecl]<nint*, nint, byte*, int> moduleGetFunction;
    private readonly delegate* unmanaged[Cdecl]<nint, int, int, int> functionSetAttribute;
    private readonly delegate* unmanaged[Cdecl]<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> launchKernel;
    private readonly delegate* unmanaged[Cdecl]<int, byte**, int> getErrorString;

    /// <exception cref="CudaKernelException">The driver is missing or too old.</exception>
    public CudaDriver()
    {
        var driver = new NativeExports("libcuda.so.1");
        deviceGet = (delegate* unmanaged[Cdecl]<int*, int, int>)driver["cuDeviceGet"];
        deviceGetAttribute = (delegate* unmanaged[Cdecl]<int*, int, int, int>)driver["cuDeviceGetAttribute"];
        primaryContextRetain = (delegate* unmanaged[Cdecl]<nint*, int, int>)driver["cuDevicePrimaryCtxRetain"];
        // cuda.h maps these two names to the second version
        contextPush = (delegate* unmanaged[Cdecl]<nint, int>)driver["cuCtxPushCurrent_v2"];
        contextPop = (delegate* unmanaged[Cdecl]<nint*, int>)driver["cuCtxPopCurrent_v2"];
        moduleLoadData = (delegate* unmanaged[Cdecl]<nint*, void*, int>)driver["cuModuleLoadData"];
        moduleGetFunction = (delegate* unmanaged[Cdecl]<nint*, nint, byte*, int>)driver["cuModuleGetFunction"];
        functionSetAttribute = (delegate* unmanaged[Cdecl]<nint, int, int, int>)driver["cuFuncSetAttribute"];
        launchKernel = (delegate* unmanaged[Cdecl]<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)
            driver["cuLaunchKernel"];
        getErrorString = (delegate* unmanaged[Cdecl]<int, byte**, int>)driver["cuGetErrorString"];
    }

    /// <returns>Such as sm_90.</returns>
    public string Architecture(int device)
    {
        int handle,
            major,
            minor;
        Check(deviceGet(&handle, device), "cuDeviceGet");
        Check(deviceGetAttribute(&major, CapabilityMajor, handle), "cuDeviceGetAttribute");
        Check(deviceGetAttribute(&minor, CapabilityMinor, handle), "cuDeviceGetAttribute");
        return $"sm_{major}{minor}";
    }

    /// <summary>The context that libtorch uses on a device; it is kept until the process ends.</summary>
    public nint Context(int device)
    {
        int handle;
        nint context;
        Check(deviceGet(&handle, device), "cuDeviceGet");
        Check(primaryContextRetain(&context, handle), "cuDevicePrimaryCtxRetain");
        return context;
    }

    /// <summary>Loads a compiled module, and from it functions, which get as much shared memory as a processor has.</summary>
    public IReadOnlyDictionary<string, nint> Load(nint context, byte[] image, IReadOnlyList<string> functions)
    {
        var loaded = new Dictionary<string, nint>();
        Check(contextPush(context), "cuCtxPushCurrent");
        try
        {
            nint module;
            fixed (byte* data = image)
                Check(moduleLoadData(&module, data), "cuModuleLoadData");
            foreach (var name in functions)
            {
                nint function;
                fixed (byte* text = Utf8.Terminated(name))
                    Check(moduleGetFunction(&function, module, text), $"cuModuleGetFunction {name}");
                Check(functionSetAttribute(function, SharedMemoryCarveout, 100), "cuFuncSetAttribute");
                loaded.Add(name, function);
            }
        }
        finally
        {
            Pop();
        }
        return loaded;
    }

    /// <summary>Enqueues a kernel; does not wait for it.</summary>
    /// <param name="context">Context of the function and the stream.</param>
    /// <param name="function">A function that was loaded there.</param>
    /// <param name="blocks">Number of blocks, at least 1.</param>
    /// <param name="threads">Threads per block.</param>
    /// <param name="stream">A <c>CUstream</c>.</param>
    /// <param name="arguments">Addresses of the arguments, which are copied.</param>
    public void Launch(nint context, nint function, uint blocks, uint threads, nint stream, void** arguments)
    {
        // libtorch makes the context current only when it needs it, and the thread may be one of autograd's
        Check(contextPush(context), "cuCtxPushCurrent");
        var status = launchKernel(function, blocks, 1, 1, threads, 1, 1, 0, stream, arguments, null);
        Pop();
        Check(status, "cuLaunchKernel");
    }

    private void Pop()
    {
        nint popped;
        _ = contextPop(&popped);
    }

    private void Check(int status, string call)
    {
        if (status == 0)
            return;
        byte* text;
        var known = getErrorString(status, &text) == 0;
        throw new CudaKernelException($"{call}: {(known ? Marshal.PtrToStringUTF8((nint)text) : "unknown error")} ({status})");
    }
}
