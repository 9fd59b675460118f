using System.Runtime.InteropServices;

namespace DQ.Core;

/// <summary>
/// Distinguishes regular files from pipes, sockets and devices: opening a pipe waits for a writer, and a device may never end. Links are
/// followed.
/// </summary>
public static partial class RegularFile
{
    private const int TypeBits = 0xF000;

    /// <summary>The kind of a path that is not a regular file, such as "a pipe"; null for a regular file, and for a missing one.</summary>
    public static string? WhyNot(string path)
    {
        if (OperatingSystem.IsWindows())
            return Directory.Exists(path) ? "a folder" : null;
        return (Mode(path) & TypeBits) switch
        {
            0x1000 => "a pipe",
            0x2000 or 0x6000 => "a device",
            0x4000 => "a folder",
            0xC000 => "a socket",
            _ => null,
        };
    }

    /// <summary>Opens a file for reading.</summary>
    /// <exception cref="IOException">The file can't be opened, or is not a regular file; the message names it.</exception>
    public static FileStream OpenRead(string path) =>
        WhyNot(path) is { } other ? throw new IOException($"{path}: expected a file, found {other}") : File.OpenRead(path);

    /// <summary>Reads a whole file.</summary>
    /// <param name="path">Path of the file.</param>
    /// <param name="most">Maximum size in bytes; a larger file is refused before memory is allocated.</param>
    /// <exception cref="InvalidDataException">The file is larger.</exception>
    /// <exception cref="IOException">The file can't be read, or is not a regular file.</exception>
    public static byte[] ReadAllBytes(string path, long most)
    {
        using var file = OpenRead(path);
        var length = file.Length;
        if (length > Math.Min(most, Array.MaxLength))
            throw new InvalidDataException($"expected at most {Math.Min(most, Array.MaxLength)} bytes in a file of its kind, got {length}");
        var content = new byte[length];
        file.ReadExactly(content);
        return content;
    }

    private static int Mode(string path)
    {
        // the runtime's own wrapper: its record is the same on all systems, and begins with flags and mode
        Span<int> status = stackalloc int[64];
        try
        {
            return Stat(path, ref MemoryMarshal.GetReference(status)) == 0 ? status[1] : 0;
        }
        catch (Exception error) when (error is EntryPointNotFoundException or DllNotFoundException)
        {
            return 0;
        }
    }

    [LibraryImport("libSystem.Native", EntryPoint = "SystemNative_Stat", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Stat(string path, ref int status);
}
