using System.IO.MemoryMappedFiles;
using System.Text;
using static TorchSharp.torch;

namespace DQ.Core.Weights;

/// <summary>
/// A file written by <c>torch.save</c> (<c>.pt</c>, <c>.pth</c>: a zip archive with a pickle and one file per storage),
/// read only and as data only: nothing in it is executed, and what is no data is refused by name. Not for use by several
/// threads at once.
/// </summary>
public sealed class PyTorchArchive : IDisposable
{
    private const int LargestPickle = 1 << 26;
    private const string Remedy =
        "load it in PyTorch and save it again with torch.save(value, file, _use_new_zipfile_serialization=True), or convert it to safetensors";

    private readonly ZipDirectory zip;
    private readonly string path;
    private readonly string folder;
    private readonly HashSet<string> storages = [];
    private long bytesLeft;

    private PyTorchArchive(string path, ZipDirectory zip, long length)
    {
        this.path = path;
        this.zip = zip;
        // Honest files store each element once and use it once or a few times. More than this, through views that
        // repeat elements, storages that overlap or compression, is refused before it is allocated.
        bytesLeft = 16 * length + (1 << 24);
        folder = FindFolder();
        CheckByteOrder();
        Root = new PickleMachine(ReadPickle(), Storage, tensor => Spend(tensor.Cost)).Run();
        PickledTree.Check(Root);
    }

    /// <summary>What was saved.</summary>
    public PickledValue Root { get; }

    /// <summary>Reads the directory and the pickle; tensors are read when asked for, while this is open.</summary>
    /// <exception cref="WeightsException">The file cannot be read, is damaged, or holds more than plain data.</exception>
    public static PyTorchArchive Open(string path)
    {
        FileStream? stream = null;
        MemoryMappedFile? mapped = null;
        try
        {
            stream = File.OpenRead(path);
            CheckForm(stream);
            var length = stream.Length;
            mapped = MemoryMappedFile.CreateFromFile(
                stream,
                null,
                0,
                MemoryMappedFileAccess.Read,
                HandleInheritability.None,
                leaveOpen: false
            );
            var archive = new PyTorchArchive(path, new ZipDirectory(mapped, length), length);
            (stream, mapped) = (null, null); // the archive's from here on
            return archive;
        }
        catch (WeightsException error)
        {
            throw new WeightsException($"{path}: {error.Message}", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new WeightsException($"{path}: expected a readable PyTorch archive: {error.Message}", error);
        }
        finally
        {
            mapped?.Dispose();
            stream?.Dispose();
        }
    }

    /// <summary>
    /// The tensors by name: <see cref="Root"/> itself when it is a flat dictionary of them, or the only such dictionary
    /// directly inside it, or the one under <paramref name="key"/>.
    /// </summary>
    /// <exception cref="WeightsException">There is none, or several and no <paramref name="key"/>.</exception>
    public IReadOnlyList<KeyValuePair<string, PickledTensor>> StateDictionary(string? key = null)
    {
        if (key is null && AsStateDictionary(Root) is { } whole)
            return whole;
        if (Root is not PickledDictionary root)
            throw new WeightsException(
                $"{path}: expected a dictionary of tensors, found {Describe(Root)}; save model.state_dict() instead of the model"
            );
        var found = root
            .Keys.Zip(root.Values)
            .Select(pair => (Key: (pair.First as PickledText)?.Value, Tensors: AsStateDictionary(pair.Second)))
            .Where(pair => pair.Tensors is not null && (key is null || pair.Key == key))
            .ToList();
        return found is [(_, { } only)]
            ? only
            : throw new WeightsException(
                $"{path}: expected one dictionary of tensors{(key is null ? "" : $" under '{key}'")}, found {found.Count}"
                    + (found.Count > 1 ? $": {string.Join(", ", found.Select(pair => WeightsException.Quote(pair.Key ?? "?")))}" : "")
            );
    }

    private static List<KeyValuePair<string, PickledTensor>>? AsStateDictionary(PickledValue value)
    {
        if (value is not PickledDictionary { Count: > 0 } dictionary)
            return null;
        var tensors = dictionary
            .Keys.Zip(dictionary.Values)
            .Where(pair => pair is (PickledText, PickledTensor))
            .Select(pair => KeyValuePair.Create(((PickledText)pair.First).Value, (PickledTensor)pair.Second))
            .ToList();
        return tensors.Count == dictionary.Count ? tensors : null;
    }

    private static string Describe(PickledValue value) =>
        value is PickledObject thing
            ? $"an object of class {WeightsException.Quote(thing.ClassName)}"
            : value.GetType().Name["Pickled".Length..].ToLowerInvariant();

    private static void CheckForm(FileStream stream)
    {
        Span<byte> start = stackalloc byte[4];
        var read = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        if (read == start.Length && start.SequenceEqual("PK\u0003\u0004"u8))
            return;
        // the old form begins with a pickled magic number: PROTO 2, LONG1 of 10 bytes
        throw new WeightsException(
            read == start.Length && start.SequenceEqual((ReadOnlySpan<byte>)[0x80, 2, 0x8a, 10])
                ? $"expected the zip form of PyTorch 1.6 and later, found the older one; {Remedy}"
                : $"expected a zip archive as torch.save writes it; {Remedy}"
        );
    }

    private string FindFolder()
    {
        var pickles = zip.Entries.Where(entry => entry.Name.EndsWith("/data.pkl", StringComparison.Ordinal)).ToList();
        if (pickles is not [var pickle])
            throw new WeightsException($"expected one data.pkl in the archive, found {pickles.Count}");
        var found = pickle.Name[..^"data.pkl".Length];
        return zip.Find($"{found}constants.pkl") is null
            ? found
            : throw new WeightsException("expected weights, found a TorchScript program; save its state_dict() with torch.save");
    }

    private void CheckByteOrder()
    {
        if (zip.Find($"{folder}byteorder") is { } entry && Encoding.ASCII.GetString(ReadAll(entry, 16)) is var order && order != "little")
            throw new WeightsException(
                $"expected little-endian storages, found {WeightsException.Quote(order)}; save it on a little-endian machine"
            );
    }

    private byte[] ReadPickle() => ReadAll(zip.Find($"{folder}data.pkl")!, LargestPickle);

    private byte[] ReadAll(ZipFileEntry entry, int most)
    {
        if (entry.Bytes > most)
            throw new WeightsException($"expected at most {most} bytes in {WeightsException.Quote(entry.Name)}, found {entry.Bytes}");
        Spend(entry.Bytes);
        using var stream = zip.Open(entry, 0, entry.Bytes);
        var bytes = new byte[entry.Bytes];
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// The storage of a persistent id: ('storage', type, key, device, number of elements).
    private PickledStorage Storage(PickledValue id)
    {
        if (
            id
            is not PickledSequence
            {
                Items: [PickledText { Value: "storage" }, PickledGlobal type, PickledText key, _, PickledInteger count, ..]
            }
        )
            throw new WeightsException("expected storages in the pickle as torch.save names them");
        var element = ElementType(type);
        var entry =
            zip.Find($"{folder}data/{key.Value}")
            ?? throw new WeightsException($"expected the storage {WeightsException.Quote($"{folder}data/{key.Value}")} in the archive");
        var width = SafeTensorsType.BytesOf(element);
        if (count.Value * width != entry.Bytes)
            throw new WeightsException(
                $"expected {count.Value} elements of {width} bytes in {WeightsException.Quote(entry.Name)}, found {entry.Bytes} bytes"
            );
        if (storages.Add(entry.Name))
            Spend(entry.Bytes);
        return new(element, entry.Bytes, entry.Compressed, (start, bytes) => OpenStorage(entry, start, bytes));
    }

    private Stream OpenStorage(ZipFileEntry entry, long start, long bytes)
    {
        try
        {
            return zip.Open(entry, start, bytes);
        }
        catch (WeightsException error)
        {
            throw new WeightsException($"{path}: {error.Message}", error);
        }
    }

    private void Spend(long bytes)
    {
        if (bytes > bytesLeft)
            throw new WeightsException("expected tensors of a size that the file could hold, found many times more");
        bytesLeft -= bytes;
    }

    private static ScalarType ElementType(PickledGlobal storage) =>
        storage.Name switch
        {
            "torch.DoubleStorage" => ScalarType.Float64,
            "torch.FloatStorage" => ScalarType.Float32,
            "torch.HalfStorage" => ScalarType.Float16,
            "torch.BFloat16Storage" => ScalarType.BFloat16,
            "torch.LongStorage" => ScalarType.Int64,
            "torch.IntStorage" => ScalarType.Int32,
            "torch.ShortStorage" => ScalarType.Int16,
            "torch.CharStorage" => ScalarType.Int8,
            "torch.ByteStorage" or "torch.UntypedStorage" or "torch._UntypedStorage" or "torch.storage.UntypedStorage" => ScalarType.Byte,
            "torch.BoolStorage" => ScalarType.Bool,
            _ => throw PickleCalls.Refused(storage),
        };

    public void Dispose() => zip.Dispose();
}
