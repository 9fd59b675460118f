using System.IO.MemoryMappedFiles;
using DQ.Core.Formats;
using Microsoft.Win32.SafeHandles;

namespace DQ.Core.Images;

/// <summary>
/// Arrays of pixels and labels by name, from an <c>.npz</c> archive, an <c>.npy</c> file, or a folder of these. Opening reads headers;
/// images are read one at a time, also from several threads.
/// </summary>
/// <remarks>Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.</remarks>
public sealed class NumpyArrays : IDisposable
{
    private sealed record Stored(string Place, NpyHeader Header, PixelRows Rows, long Bytes);

    private readonly Dictionary<string, Stored> arrays = new(StringComparer.Ordinal);

    /// <summary>The opened files, in the order of their names.</summary>
    public IReadOnlyList<string> Files { get; }

    /// <summary>Names of the arrays: those in an archive, or the name of a file, both without <c>.npy</c>.</summary>
    public IReadOnlyCollection<string> Names => arrays.Keys;

    private NumpyArrays(IReadOnlyList<string> files, InflatedFiles inflated)
    {
        Files = files;
        try
        {
            foreach (var file in files)
                if (Path.GetExtension(file).Equals(".npz", StringComparison.OrdinalIgnoreCase))
                    OpenArchive(file, inflated);
                else
                    OpenArray(file);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <param name="files">Paths of <c>.npy</c> and <c>.npz</c> files.</param>
    /// <param name="inflated">Cache shared by archives that are read together.</param>
    /// <exception cref="InvalidDataException">A file has another format, or two arrays have the same name; the message names
    /// it.</exception>
    /// <exception cref="IOException">A file can't be read.</exception>
    public static NumpyArrays Open(IReadOnlyList<string> files, InflatedFiles inflated) => new(files, inflated);

    /// <summary>Opens an array of images.</summary>
    /// <exception cref="InvalidDataException">The array is not of this kind; the message names it and what was expected.</exception>
    public NumpyImages Images(string name)
    {
        var stored = arrays[name];
        var shape = stored.Header.Shape;
        // (N, H, W), (N, H, W, C) or (N, C, H, W); if both are possible, the channels are last
        (long Channels, long Height, long Width, bool ChannelsLast) layout = shape switch
        {
            [_, var height, var width] => (1, height, width, false),
            [_, var height, var width, 1 or 3] => (shape[3], height, width, true),
            [_, 1 or 3, var height, var width] => (shape[1], height, width, false),
            _ => default,
        };
        if (stored.Header.ElementType != "u1" || layout.Channels == 0 || shape.Any(size => size is < 1 or > int.MaxValue))
            throw new InvalidDataException(
                $"{stored.Place}: expected images of bytes (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels, found {stored.Header.ElementType} ({string.Join(", ", shape)})"
            );
        if (shape.Aggregate(1.0, (product, size) => product * size) != stored.Bytes)
            throw new InvalidDataException($"{stored.Place}: expected as many bytes as its shape says, found {stored.Bytes}");
        return new(stored.Rows, (int)shape[0], (int)layout.Channels, (int)layout.Height, (int)layout.Width, layout.ChannelsLast);
    }

    /// <summary>Reads an array of whole numbers, (N) or (N, 1).</summary>
    /// <exception cref="InvalidDataException">The array is not of this kind; the message names it and what was expected.</exception>
    public long[] Labels(string name)
    {
        var stored = arrays[name];
        var header = stored.Header;
        if (header.Shape is not ([_] or [_, 1]) || header.ElementType[0] is not ('i' or 'u') || stored.Bytes > int.MaxValue)
            throw new InvalidDataException(
                $"{stored.Place}: expected labels that are whole numbers (N) or (N, 1), found {header.ElementType} ({string.Join(", ", header.Shape)})"
            );
        var bytes = new byte[stored.Bytes];
        stored.Rows.Read(0, bytes);
        var labels = NpyHeader.Integers(header.ElementType, header.IsBigEndian, bytes);
        return labels.Length == header.Shape[0]
            ? labels
            : throw new InvalidDataException($"{stored.Place}: expected {header.Shape[0]} labels, found {labels.Length}");
    }

    public void Dispose()
    {
        foreach (var stored in arrays.Values)
            stored.Rows.Dispose();
    }

    private void OpenArchive(string path, InflatedFiles inflated)
    {
        ZipDirectory? zip = null;
        try
        {
            zip = new ZipDirectory(
                MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read),
                new FileInfo(path).Length
            ).Sound();
            foreach (var entry in zip.Entries)
            {
                if (!entry.Name.EndsWith(".npy", StringComparison.Ordinal))
                    continue;
                using var start = zip.Part(entry, 0, entry.Bytes);
                var header = NpyHeader.Read(start);
                if (entry.Compressed && entry.Bytes > Array.MaxLength)
                    throw new WeightsException($"{entry.Name}: expected at most {Array.MaxLength} bytes in a compressed array");
                Add(
                    entry.Name[..^".npy".Length],
                    new(
                        $"{path}: {entry.Name}",
                        header,
                        new ZippedRows(zip, entry, header.DataOffset, inflated),
                        entry.Bytes - header.DataOffset
                    )
                );
            }
        }
        catch (Exception error) when (error is WeightsException or EndOfStreamException or OverflowException)
        {
            zip?.Dispose();
            throw new InvalidDataException($"{path}: {error.Message}", error);
        }
    }

    private void OpenArray(string path)
    {
        try
        {
            using var start = RegularFile.OpenRead(path);
            var header = NpyHeader.Read(start);
            var handle = File.OpenHandle(path);
            Add(
                Path.GetFileNameWithoutExtension(path),
                new(path, header, new FileRows(handle, header.DataOffset), RandomAccess.GetLength(handle) - header.DataOffset)
            );
        }
        catch (Exception error) when (error is WeightsException or EndOfStreamException)
        {
            throw new InvalidDataException($"{path}: {error.Message}", error);
        }
    }

    private void Add(string name, Stored stored)
    {
        if (!arrays.TryAdd(name, stored))
            throw new InvalidDataException($"{stored.Place}: an array '{name}' is in {arrays[name].Place} already");
    }

    /// Pixels in a file, which are read when they are needed.
    private sealed class FileRows(SafeFileHandle file, long offset) : PixelRows
    {
        public override void Read(long start, Span<byte> bytes)
        {
            for (var done = 0; done < bytes.Length; )
            {
                var count = RandomAccess.Read(file, bytes[done..], offset + start + done);
                done += count > 0 ? count : throw new EndOfStreamException("the file is shorter than its header claims");
            }
        }

        public override void Dispose() => file.Dispose();
    }
}

/// <summary>Images of bytes in an array.</summary>
public sealed class NumpyImages
{
    private readonly PixelRows rows;
    private readonly bool channelsLast;

    internal NumpyImages(PixelRows rows, int count, int channels, int height, int width, bool channelsLast)
    {
        (this.rows, this.channelsLast) = (rows, channelsLast);
        (Count, Channels, Height, Width) = (count, channels, height, width);
    }

    public int Count { get; }

    public int Channels { get; }

    public int Height { get; }

    public int Width { get; }

    /// <summary>The image with this index, in planes.</summary>
    public PixelImage Read(int index)
    {
        var image = new PixelImage(Channels, Height, Width);
        if (!channelsLast || Channels == 1)
        {
            rows.Read((long)index * image.Bytes.Length, image.Bytes);
            return image;
        }
        var interleaved = new byte[image.Bytes.Length]; // (H, W, C)
        rows.Read((long)index * interleaved.Length, interleaved);
        var plane = Height * Width;
        for (var channel = 0; channel < Channels; channel++)
        for (var place = 0; place < plane; place++)
            image.Bytes[channel * plane + place] = interleaved[place * Channels + channel];
        return image;
    }
}
