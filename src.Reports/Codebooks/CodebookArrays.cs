using System.Numerics;
using DQ.Core.Artifacts;
using DQ.Core.Formats;
using DQ.Reports.Catalog;

namespace DQ.Reports.Codebooks;

/// <summary>Arrays of numbers beside a run's records, read within bounds.</summary>
public static class CodebookArrays
{
    /// <summary>Numbers of the largest array read.</summary>
    private const long Most = 1 << 24;

    /// <summary>An array of a file of a run; null where the record names none, or file or array is missing.</summary>
    /// <exception cref="ArtifactException">Damaged, too large, or of another type.</exception>
    public static StoredArray<T>? Read<T>(ArtifactFolder folder, string run, string file, string? array)
        where T : unmanaged, INumber<T>
    {
        if (
            array is null
            || folder.Resolve(RunLayout.Runs, run, file) is not { } path
            || new FileInfo(path) is not { Exists: true, Length: > 0 }
        )
            return null;
        try
        {
            using var arrays = SafeTensorsFile.Open(path);
            if (arrays.Entries.FirstOrDefault(entry => entry.Name == array) is not { } entry)
                return null;
            var numbers = entry.Shape.Aggregate(1L, (count, length) => checked(count * length));
            return numbers <= Most
                ? arrays.ReadArray<T>(array)
                : throw new ArtifactException($"{file}: {array}: expected at most {Most} numbers, found {numbers}");
        }
        catch (Exception error) when (error is WeightsException or IOException or OverflowException)
        {
            throw new ArtifactException($"{file}: {Path.GetFileName(path)}: {error.Message}", error);
        }
    }

    /// <summary>The part of an array at an index of its first axis.</summary>
    public static ReadOnlySpan<T> At<T>(this StoredArray<T> array, int index)
        where T : unmanaged
    {
        var length = array.Shape[0] == 0 ? 0 : array.Values.Length / (int)array.Shape[0];
        return array.Values.AsSpan(index * length, length);
    }
}
