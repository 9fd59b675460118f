using System.IO.MemoryMappedFiles;
using DQ.Core.Formats;

namespace DQ.Core.Images;

/// <summary>
/// One file of down-sampled ImageNet (Chrabaszcz et al. 2017): a pickled dictionary, or an npz archive, with <c>data</c> (N, 3·size·size)
/// uint8, the red plane first, and <c>labels</c> from 1. Nothing in it is executed. Safe to read from several threads.
/// </summary>
public sealed class DownsampledBatch : IDisposable
{
    private readonly PixelRows rows;

    private DownsampledBatch(PixelRows rows, (int Count, int Size) shape, int[] labels)
    {
        this.rows = rows;
        (Count, Size) = shape;
        Labels = labels;
    }

    public int Count { get; }

    /// <summary>Pixels.</summary>
    public int Size { get; }

    /// <summary>Classes, from 0.</summary>
    public IReadOnlyList<int> Labels { get; }

    /// <param name="path">File in either form, which is recognized by its content.</param>
    /// <param name="inflated">Cache shared by the files that are read together.</param>
    /// <exception cref="InvalidDataException">Not such a file; the message names it and what was expected.</exception>
    /// <exception cref="IOException">The file can't be read.</exception>
    public static DownsampledBatch Open(string path, InflatedFiles inflated)
    {
        try
        {
            return IsZip(path) ? FromNpz(path, inflated) : FromPickle(path);
        }
        catch (Exception error) when (error is WeightsException or EndOfStreamException or OverflowException)
        {
            throw new InvalidDataException($"{path}: {error.Message}", error);
        }
    }

    /// <summary>Copies an image (3, size, size).</summary>
    public void Read(int index, Span<byte> pixels) => rows.Read((long)index * pixels.Length, pixels);

    public void Dispose() => rows.Dispose();

    private static bool IsZip(string path)
    {
        using var file = RegularFile.OpenRead(path);
        return file.ReadByte() == 'P' && file.ReadByte() == 'K';
    }

    private static DownsampledBatch FromPickle(string path)
    {
        var file = new MappedBytes(path);
        try
        {
            return FromPickle(file);
        }
        catch
        {
            ((IDisposable)file).Dispose();
            throw;
        }
    }

    private static DownsampledBatch FromPickle(MappedBytes file)
    {
        var root = new PickleMachine(file.Memory, _ => throw NoTensors(), _ => throw NoTensors(), PickledArray.Call).Run();
        PickledTree.Check(root);
        if (
            root is not PickledDictionary batch
            || !batch.TryGetValue("data", out var data)
            || !batch.TryGetValue("labels", out var labels)
            || data is not PickledArray pixels
        )
            throw new WeightsException("expected a pickled dictionary with an array 'data' and 'labels'");
        var classes = labels switch
        {
            PickledArray array => NpyHeader.Integers(array.ElementType, array.IsBigEndian, array.Bytes.Span),
            PickledSequence list => [.. list.Items.Select(item => item is PickledInteger number ? (long)number.Value : 0)],
            _ => [],
        };
        var shape = ShapeOf(pixels.ElementType, pixels.Shape);
        return new(new MappedRows(file, pixels.Bytes), shape, Classes(classes, shape.Count));
    }

    private static WeightsException NoTensors() => new("expected arrays of numpy, found tensors of PyTorch");

    private static DownsampledBatch FromNpz(string path, InflatedFiles inflated)
    {
        var file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        try
        {
            var zip = new ZipDirectory(file, new FileInfo(path).Length).Sound();
            var (entry, header) = Array(zip, "data.npy");
            var shape = ShapeOf(header.ElementType, header.Shape);
            var (labelsEntry, labelsHeader) = Array(zip, "labels.npy");
            if (labelsEntry.Bytes - labelsHeader.DataOffset > sizeof(long) * (long)shape.Count)
                throw new WeightsException($"expected {shape.Count} labels, found {labelsEntry.Bytes} bytes of them");
            using var content = zip.Open(labelsEntry, labelsHeader.DataOffset, labelsEntry.Bytes - labelsHeader.DataOffset);
            var labels = new byte[labelsEntry.Bytes - labelsHeader.DataOffset];
            content.ReadExactly(labels);
            if (entry.Bytes - header.DataOffset != (long)shape.Count * 3 * shape.Size * shape.Size || entry.Bytes > System.Array.MaxLength)
                throw new WeightsException(
                    $"expected as many bytes in data.npy as its shape says, found {entry.Bytes - header.DataOffset}"
                );
            return new(
                new ZippedRows(zip, entry, header.DataOffset, inflated),
                shape,
                Classes(NpyHeader.Integers(labelsHeader.ElementType, labelsHeader.IsBigEndian, labels), shape.Count)
            );
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static (ZipFileEntry Entry, NpyHeader Header) Array(ZipDirectory zip, string name)
    {
        var entry = zip.Find(name) ?? throw new WeightsException($"expected {name} in the archive");
        using var start = zip.Part(entry, 0, entry.Bytes); // checked when its elements are read
        return (entry, NpyHeader.Read(start));
    }

    private static (int Count, int Size) ShapeOf(string type, IReadOnlyList<long> shape)
    {
        if (type == "u1" && shape is [> 0 and <= int.MaxValue, > 0 and var bytes] && bytes % 3 == 0)
        {
            var size = (int)Math.Round(Math.Sqrt(bytes / 3.0));
            if (3L * size * size == bytes)
                return ((int)shape[0], size);
        }
        throw new WeightsException($"expected data of bytes (N, 3·size·size), found {type} ({string.Join(", ", shape)})");
    }

    private static int[] Classes(IReadOnlyList<long> labels, int count)
    {
        if (labels.Count != count)
            throw new WeightsException($"expected {count} labels, found {labels.Count}");
        for (var index = 0; index < count; index++)
            if (labels[index] is < 1 or > 1000)
                throw new WeightsException($"expected labels from 1 to 1000, found another at {index}");
        return [.. labels.Select(label => (int)label - 1)];
    }
}
