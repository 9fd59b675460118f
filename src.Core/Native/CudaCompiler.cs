using System.Runtime.InteropServices;
using System.Text;

namespace DQ.Core.Native;

/// <summary>NVIDIA's compiler at run time, NVRTC.</summary>
internal sealed unsafe class CudaCompiler
{
    private readonly delegate* unmanaged[Cdecl]<nint*, byte*, byte*, int, byte**, byte**, int> createProgram;
    private readonly delegate* unmanaged[Cdecl]<nint, int, byte**, int> compileProgram;
    private readonly delegate* unmanaged[Cdecl]<nint, nuint*, int> getSize;
    private readonly delegate* unmanaged[Cdecl]<nint, byte*, int> getCode;
    private readonly delegate* unmanaged[Cdecl]<nint, nuint*, int> getLogSize;
    private readonly delegate* unmanaged[Cdecl]<nint, byte*, int> getLog;
    private readonly delegate* unmanaged[Cdecl]<nint*, int> destroyProgram;
    private readonly delegate* unmanaged[Cdecl]<int, byte*> getErrorString;

    /// <param name="torchFolder">The folder of libtorch, where the compiler is searched for first; null if it is not known.</param>
    /// <exception cref="CudaKernelException">The compiler is missing or too old.</exception>
    public CudaCompiler(string? torchFolder)
    {
        var candidates = Candidates(torchFolder);
        foreach (var builtIns in candidates.SelectMany(BuiltIns))
            // the compiler loads it by name, and not every package tells the loader to search beside the compiler
            NativeLibrary.TryLoad(builtIns, out _);
        var compiler = new NativeExports(candidates);
        createProgram = (delegate* unmanaged[Cdecl]<nint*, byte*, byte*, int, byte**, byte**, int>)compiler["nvrtcCreateProgram"];
        compileProgram = (delegate* unmanaged[Cdecl]<nint, int, byte**, int>)compiler["nvrtcCompileProgram"];
        getSize = (delegate* unmanaged[Cdecl]<nint, nuint*, int>)compiler["nvrtcGetCUBINSize"];
        getCode = (delegate* unmanaged[Cdecl]<nint, byte*, int>)compiler["nvrtcGetCUBIN"];
        getLogSize = (delegate* unmanaged[Cdecl]<nint, nuint*, int>)compiler["nvrtcGetProgramLogSize"];
        getLog = (delegate* unmanaged[Cdecl]<nint, byte*, int>)compiler["nvrtcGetProgramLog"];
        destroyProgram = (delegate* unmanaged[Cdecl]<nint*, int>)compiler["nvrtcDestroyProgram"];
        getErrorString = (delegate* unmanaged[Cdecl]<int, byte*>)compiler["nvrtcGetErrorString"];
    }

    /// <summary>Compiles for one architecture.</summary>
    /// <returns>A cubin.</returns>
    /// <exception cref="CudaKernelException">The source has errors; the message holds the compiler's log.</exception>
    public byte[] Compile(string source, string name, IReadOnlyList<string> options)
    {
        nint program;
        fixed (byte* text = Utf8.Terminated(source))
        fixed (byte* title = Utf8.Terminated(name))
            Check(createProgram(&program, text, title, 0, null, null), "nvrtcCreateProgram");
        try
        {
            Compile(program, options);
            nuint size;
            Check(getSize(program, &size), "nvrtcGetCUBINSize");
            var code = new byte[checked((int)size)];
            fixed (byte* start = code)
                Check(getCode(program, start), "nvrtcGetCUBIN");
            return code;
        }
        finally
        {
            _ = destroyProgram(&program);
        }
    }

    private void Compile(nint program, IReadOnlyList<string> options)
    {
        var texts = options.Select(Marshal.StringToCoTaskMemUTF8).ToArray();
        int status;
        fixed (nint* first = texts)
            status = compileProgram(program, texts.Length, (byte**)first);
        foreach (var text in texts)
            Marshal.FreeCoTaskMem(text);
        if (status != 0)
            throw new CudaKernelException($"nvrtcCompileProgram {string.Join(' ', options)}: {Error(status)}\n{Log(program)}");
    }

    private string Log(nint program)
    {
        nuint size;
        if (getLogSize(program, &size) != 0 || size == 0)
            return "";
        var log = new byte[checked((int)size)];
        fixed (byte* start = log)
            return getLog(program, start) == 0 ? Encoding.UTF8.GetString(log).TrimEnd('\0', '\n') : "";
    }

    private string Error(int status) => Marshal.PtrToStringUTF8((nint)getErrorString(status)) ?? $"error {status}";

    private void Check(int status, string call)
    {
        if (status != 0)
            throw new CudaKernelException($"{call}: {Error(status)}");
    }

    /// The compiler that came with libtorch, beside it or in NVIDIA's packages for Python, is of the version that libtorch was tried with
    private static List<string> Candidates(string? torchFolder)
    {
        var files = new List<string>();
        if (torchFolder is not null)
        {
            var packages = Path.GetFullPath(Path.Combine(torchFolder, "..", "..", "nvidia"));
            string[] folders =
            [
                torchFolder,
                .. Directory.Exists(packages)
                    ? Directory.EnumerateDirectories(packages).OrderDescending().Select(package => Path.Combine(package, "lib"))
                    : [],
            ];
            files.AddRange(folders.Where(Directory.Exists).SelectMany(folder => Directory.EnumerateFiles(folder, "libnvrtc*.so*").Order()));
            files.RemoveAll(file => file.Contains("builtins", StringComparison.Ordinal) || file.Contains(".alt", StringComparison.Ordinal));
        }
        return [.. files, "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"];
    }

    private static IEnumerable<string> BuiltIns(string compiler) =>
        Path.GetDirectoryName(compiler) is { Length: > 0 } folder
            ? Directory.EnumerateFiles(folder, "libnvrtc-builtins*.so*").Where(file => !file.Contains(".alt", StringComparison.Ordinal))
            : [];
}
