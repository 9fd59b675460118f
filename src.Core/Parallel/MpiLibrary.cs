using System.Runtime.InteropServices;

namespace DQ.Core.Parallel;

/// <summary>MPI could not be found, loaded or used; the message says what to do.</summary>
public sealed class MpiException(string message) : Exception(message);

/// <summary>The system's MPI library: Open MPI, or MPICH and those with its binary interface (Intel MPI, MVAPICH, Cray MPICH).</summary>
/// <remarks>
/// Nothing of MPI comes with this program. The standard fixes no binary interface: handles are addresses of exported symbols in Open
/// MPI, and 32-bit integers in MPICH. Both are passed as machine words here: a callee that takes an integer reads the lower half of the
/// register or of the stack's slot, on all systems that .NET runs on, which are little endian. Values are those of Open MPI's <c>mpi.h</c>
/// (4.1, 5.0) and of MPICH's (3.2 to 4.2). <see cref="MpiRanks"/> tries them once before it relies on them.
/// </remarks>
public sealed unsafe class MpiLibrary
{
    private const int LongestText = 8192;

    private static readonly string[] OpenMpiFiles = ["libmpi.so.40", "libmpi.so.80", "libmpi.so", "libmpi.40.dylib", "libmpi.dylib"];
    private static readonly string[] MpichFiles = ["libmpich.so.12", "libmpi.so.12", "libmpich.so", "libmpi.so", "libmpi.12.dylib"];

    private readonly nint library;

    private MpiLibrary(nint library, string file)
    {
        (this.library, File) = (library, file);
        IsOpenMpi = NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out var world);
        (World, Bytes, Floats, Doubles, Sum, InPlace, NoStatus) = IsOpenMpi
            ? (world, Export("ompi_mpi_byte"), Export("ompi_mpi_float"), Export("ompi_mpi_double"), Export("ompi_mpi_op_sum"), 1, 0)
            : (0x44000000, 0x4c00010d, 0x4c00040a, 0x4c00080b, 0x58000003, -1, 1);
        Version = ReadVersion();
    }

    /// <summary>The file, as it was asked for.</summary>
    public string File { get; }

    /// <summary>What the library says of itself: the start of its first line.</summary>
    public string Version { get; }

    /// <summary>Handles are addresses.</summary>
    public bool IsOpenMpi { get; }

    internal nint World { get; }
    internal nint Bytes { get; }
    internal nint Floats { get; }
    internal nint Doubles { get; }
    internal nint Sum { get; }
    internal nint InPlace { get; }
    internal nint NoStatus { get; }

    /// <summary>The libraries of this system, loaded to be looked at; <c>DQ_MPI</c> first, where it names one.</summary>
    public static IReadOnlyList<MpiLibrary> All() =>
        [.. Named().Concat(OpenMpiFiles).Concat(MpichFiles).Select(Find).OfType<MpiLibrary>().DistinctBy(found => found.Version)];

    /// <summary>The library for a launch: each launcher starts processes for its own kind.</summary>
    /// <exception cref="MpiException">None was found.</exception>
    public static MpiLibrary Load(Launch launch)
    {
        if (Named() is [var named])
            return Find(named)
                ?? throw new MpiException(
                    $"DQ_MPI={named}: expected an MPI library such as libmpi.so.40 or libmpich.so.12, it does not load"
                );
        var order = launch.IsOfHydra ? MpichFiles.Concat(OpenMpiFiles) : OpenMpiFiles.Concat(MpichFiles);
        return order.Select(Find).FirstOrDefault(found => found is not null && (!launch.IsOfOpenMpi || found.IsOpenMpi))
            ?? throw new MpiException(
                $"{launch.Launcher} started this process as one of several, and no MPI library was found: install Open MPI or MPICH where "
                    + "the launcher comes from, or name the library's file in DQ_MPI"
            );
    }

    internal nint Export(string name) =>
        NativeLibrary.TryGetExport(library, name, out var address)
            ? address
            : throw new MpiException($"{File}: expected {name} in an MPI library, found none");

    private static string[] Named() =>
        Environment.GetEnvironmentVariable("DQ_MPI") is { } named && !string.IsNullOrWhiteSpace(named) ? [named] : [];

    private static MpiLibrary? Find(string file)
    {
        try
        {
            return NativeLibrary.TryLoad(file, out var library) && NativeLibrary.TryGetExport(library, "MPI_Allreduce", out _)
                ? new(library, file)
                : null;
        }
        catch (MpiException)
        {
            return null;
        }
    }

    private string ReadVersion()
    {
        var ask = (delegate* unmanaged<byte*, int*, int>)Export("MPI_Get_library_version");
        var text = stackalloc byte[LongestText];
        var length = 0;
        if (ask(text, &length) != 0)
            throw new MpiException($"{File}: does not say its version");
        var line = Marshal.PtrToStringUTF8((nint)text, length).Split('\n', ',')[0];
        return line.Replace('\t', ' ').Trim('\0', ' ');
    }
}
