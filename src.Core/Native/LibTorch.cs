using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using TorchSharp;

namespace DQ.Core.Native;

/// <summary>Where the native libraries came from and what was done to load them.</summary>
/// <param name="Source">One of <c>package</c>, <c>DQ_LIBTORCH</c>, <c>--libtorch</c>.</param>
/// <param name="Folder">The folder libtorch was loaded from.</param>
/// <param name="Bridge">The file of TorchSharp's bridge that was loaded.</param>
/// <param name="BridgeRelaxed">True when a private copy of the bridge was used, see <see cref="LibTorch"/>.</param>
/// <param name="TorchSharpVersion">The version of the managed package.</param>
/// <param name="ExpectedTorchVersion">The libtorch version that package was built for.</param>
/// <param name="FoundTorchVersion">
/// Version in the given folder, from its <c>version.py</c> or <c>build-version</c>, or version of the package, from the program's
/// <c>.deps.json</c>. Null if it is not given there.
/// </param>
/// <param name="CudaLibraries">True when the folder holds CUDA libraries and they loaded.</param>
/// <param name="Notes">Notes for the user, as sentences.</param>
public sealed record LibTorchReport(
    string Source,
    string Folder,
    string Bridge,
    bool BridgeRelaxed,
    string TorchSharpVersion,
    string ExpectedTorchVersion,
    string? FoundTorchVersion,
    bool CudaLibraries,
    IReadOnlyList<string> Notes
);

/// <summary>libtorch or TorchSharp's bridge could not be found or loaded; the message explains what to do.</summary>
public sealed class LibTorchException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// Finds and loads libtorch and TorchSharp's bridge to it before TorchSharp searches for them itself.
/// </summary>
/// <remarks>
/// Order: an explicit folder, <c>DQ_LIBTORCH</c>, the package's own libraries beside the program.
/// The bridge of TorchSharp 0.107.0 requires symbol version GLIBCXX_3.4.32 (gcc 13), which Debian 12 and Ubuntu 22.04 lack. The only symbol
/// of this version is <c>std::ios_base_library_init</c>, which the bridge never calls. If loading fails for that reason, a private copy in
/// which this one requirement is marked weak is written to the user's cache folder. This is done only for the file that it was tested with
/// (SHA-256). The package's file is not changed.
/// </remarks>
public static class LibTorch
{
    private const string MissingVersion = "GLIBCXX_3.4.32";
    private const string KnownBridge = "cf33b1b0bb6bbb9754a768fb5c5d04d9f498603be50e73f55621a0b40ee608b8";
    private const string BuiltFor = "2.10.0";

    private static readonly Lock Gate = new();
    private static LibTorchReport? loaded;

    /// <summary>What <see cref="Load"/> returned; null if libtorch was not loaded by it.</summary>
    internal static LibTorchReport? Report => Volatile.Read(ref loaded);

    /// <summary>Loads once per process; later calls return the first report.</summary>
    /// <param name="folder">A folder with libtorch, as given on a command line; null for <c>DQ_LIBTORCH</c> or the package.</param>
    /// <exception cref="LibTorchException">No usable libtorch was found.</exception>
    public static LibTorchReport Load(string? folder = null)
    {
        lock (Gate)
            return loaded ??= LoadOnce(folder);
    }

    private static LibTorchReport LoadOnce(string? explicitFolder)
    {
        var fromEnvironment = Environment.GetEnvironmentVariable("DQ_LIBTORCH");
        var (source, chosenFolder) =
            !string.IsNullOrWhiteSpace(explicitFolder) ? ("--libtorch", explicitFolder)
            : !string.IsNullOrWhiteSpace(fromEnvironment) ? ("DQ_LIBTORCH", fromEnvironment)
            : ("package", null);
        var notes = new List<string>();
        var folder = chosenFolder is null ? PackageFolder() : FolderOf(source, chosenFolder);
        var bridge =
            FindBeside(BridgeFile)
            ?? throw new LibTorchException(
                $"{BridgeFile} is not beside the program ({AppContext.BaseDirectory}); restore and build again: it comes with the TorchSharp package"
            );
        LoadFile(Path.Combine(folder, LibraryFile("torch_cpu")), $"libtorch in {folder}");
        LoadIfThere(folder, "torch");
        var cuda = LoadIfThere(folder, "torch_cuda", notes);
        var (handle, used, relaxed) = LoadBridge(bridge, notes);
        NativeLibrary.SetDllImportResolver(typeof(torch).Assembly, (name, _, _) => name == "LibTorchSharp" ? handle : IntPtr.Zero);
        MarkLoaded();
        if (cuda)
            torch.backends.cudnn.allow_tf32 = false; // libtorch rounds factors of convolutions by default; training chooses
        var heldVersion = chosenFolder is null ? PackageVersion() : FoundVersion(folder);
        if (heldVersion is not null && !SameMinor(heldVersion, BuiltFor))
            notes.Add($"TorchSharp was built for libtorch {BuiltFor}, {folder} holds {heldVersion}: tried all the same");
        var version = typeof(torch).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
        return new(source, folder, used, relaxed, version.Split('+')[0], BuiltFor, heldVersion, cuda, notes);
    }

    private static string BridgeFile =>
        OperatingSystem.IsWindows() ? "LibTorchSharp.dll"
        : OperatingSystem.IsMacOS() ? "libLibTorchSharp.dylib"
        : "libLibTorchSharp.so";

    private static string LibraryFile(string name) =>
        OperatingSystem.IsWindows() ? $"{name}.dll"
        : OperatingSystem.IsMacOS() ? $"lib{name}.dylib"
        : $"lib{name}.so";

    private static string PackageFolder() =>
        Path.GetDirectoryName(FindBeside(LibraryFile("torch_cpu")))
        ?? throw new LibTorchException(
            $"no libtorch beside the program ({AppContext.BaseDirectory}); set DQ_LIBTORCH to a folder with {LibraryFile("torch_cpu")}, such as torch/lib of a Python install"
        );

    private static string FolderOf(string source, string chosenFolder)
    {
        var file = LibraryFile("torch_cpu");
        string[] places = [chosenFolder, Path.Combine(chosenFolder, "lib")];
        return Array.Find(places, place => File.Exists(Path.Combine(place, file)))
            ?? throw new LibTorchException($"{source}: expected a folder with {file}, found none in {chosenFolder}");
    }

    private static string? FindBeside(string file)
    {
        var native = Path.Combine("runtimes", RuntimeInformation.RuntimeIdentifier, "native");
        var places = new List<string>
        {
            AppContext.BaseDirectory,
            Path.Combine(AppContext.BaseDirectory, native),
            Path.Combine(AppContext.BaseDirectory, "runtimes", PortableIdentifier, "native"),
        };
        if (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") is string searched)
            places.AddRange(searched.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries));
        return places.Select(place => Path.Combine(place, file)).FirstOrDefault(File.Exists);
    }

    private static string PortableIdentifier =>
        (
            OperatingSystem.IsWindows() ? "win-"
            : OperatingSystem.IsMacOS() ? "osx-"
            : "linux-"
        ) + RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant();

    private static IntPtr LoadFile(string file, string what)
    {
        try
        {
            return NativeLibrary.Load(file);
        }
        catch (Exception error) when (error is DllNotFoundException or BadImageFormatException)
        {
            throw new LibTorchException($"{what} does not load: {FirstLine(error)}", error);
        }
    }

    private static bool LoadIfThere(string folder, string name, List<string>? notes = null)
    {
        var file = Path.Combine(folder, LibraryFile(name));
        if (!File.Exists(file))
            return false;
        if (NativeLibrary.TryLoad(file, out _))
            return true;
        notes?.Add($"{file} is there but does not load; only the CPU is used");
        return false;
    }

    private static (IntPtr Handle, string File, bool Relaxed) LoadBridge(string bridge, List<string> notes)
    {
        try
        {
            return (NativeLibrary.Load(bridge), bridge, false);
        }
        catch (DllNotFoundException error)
            when (OperatingSystem.IsLinux() && error.Message.Contains(MissingVersion, StringComparison.Ordinal))
        {
            var copy = RelaxedCopy(bridge);
            notes.Add(
                $"this system's libstdc++ lacks {MissingVersion}, which TorchSharp's bridge names but does not use: loaded a private copy with that requirement marked weak"
            );
            return (LoadFile(copy, $"TorchSharp's bridge {copy}"), copy, true);
        }
        catch (DllNotFoundException error)
        {
            throw new LibTorchException($"TorchSharp's bridge {bridge} does not load: {FirstLine(error)}", error);
        }
    }

    private static string RelaxedCopy(string bridge)
    {
        var content = File.ReadAllBytes(bridge);
        var checksum = Sha256.Of(content);
        if (checksum != KnownBridge)
            throw new LibTorchException(
                $"{bridge} needs {MissingVersion} and is not the file this program knows how to relax (SHA-256 {checksum}, expected {KnownBridge}); install libstdc++ of gcc 13 or later"
            );
        var relaxed = SymbolVersion.MakeWeak(content, MissingVersion);
        foreach (var folder in CacheFolders())
        {
            var file = Path.Combine(folder, "dq", "native", KnownBridge[..16], Path.GetFileName(bridge));
            try
            {
                if (File.Exists(file) && File.ReadAllBytes(file).AsSpan().SequenceEqual(relaxed))
                    return file;
                Directory.CreateDirectory(Path.GetDirectoryName(file)!);
                var sibling = $"{file}.{Environment.ProcessId}";
                File.WriteAllBytes(sibling, relaxed);
                File.Move(sibling, file, overwrite: true);
                return file;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // the next folder may be writable
            }
        }
        throw new LibTorchException(
            "no folder to keep the relaxed copy of TorchSharp's bridge in: set XDG_CACHE_HOME to a writable folder"
        );
    }

    private static IEnumerable<string> CacheFolders()
    {
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        string?[] folders =
        [
            Environment.GetEnvironmentVariable("XDG_CACHE_HOME"),
            home.Length == 0 ? null : Path.Combine(home, ".cache"),
            Path.GetTempPath(),
        ];
        return folders.Where(folder => !string.IsNullOrEmpty(folder)).Select(folder => folder!);
    }

    /// On first use TorchSharp would search for libtorch and load it, as a second copy if the first came from another folder. Two private
    /// fields record whether it has loaded libtorch, and there is no other way to set them.
    private static void MarkLoaded()
    {
        foreach (var name in (string[])["nativeBackendLoaded", "nativeBackendCudaLoaded"])
        {
            var field =
                typeof(torch).GetField(name, BindingFlags.NonPublic | BindingFlags.Static)
                ?? throw new LibTorchException($"this TorchSharp has no field {name}; expected version 0.107");
            field.SetValue(null, true);
        }
    }

    private static string? FoundVersion(string folder)
    {
        var python = Path.Combine(folder, "..", "version.py");
        if (File.Exists(python))
        {
            var line = File.ReadLines(python).FirstOrDefault(text => text.StartsWith("__version__", StringComparison.Ordinal));
            return line?.Split('\'', '"') is [_, var quoted, ..] ? quoted : null;
        }
        var build = Path.Combine(folder, "..", "build-version");
        return File.Exists(build) ? File.ReadLines(build).FirstOrDefault() : null;
    }

    /// Version of the libtorch packages that the program was built with, such as libtorch-cpu-linux-x64/2.10.0; null unless they agree.
    private static string? PackageVersion()
    {
        var files = (AppContext.GetData("APP_CONTEXT_DEPS_FILES") as string ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries);
        var versions = files.Where(File.Exists).SelectMany(PackageVersions).Distinct().ToList();
        return versions is [var only] ? only : null;
    }

    private static List<string> PackageVersions(string depsFile)
    {
        using var dependencies = JsonDocument.Parse(File.ReadAllBytes(depsFile));
        return dependencies.RootElement.TryGetProperty("libraries", out var libraries)
            ?
            [
                .. libraries
                    .EnumerateObject()
                    .Select(library => library.Name.Split('/'))
                    .Where(parts => parts is [var name, _] && name.StartsWith("libtorch-c", StringComparison.Ordinal))
                    .Select(parts => parts[1]),
            ]
            : [];
    }

    private static bool SameMinor(string left, string right) =>
        left.Split('.', '+') is [var a, var b, ..] && right.Split('.') is [var c, var d, ..] && a == c && b == d;

    private static string FirstLine(Exception error) => error.Message.Split('\n')[0].Trim();
}
