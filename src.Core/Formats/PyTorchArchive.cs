using System.IO.MemoryMappedFiles;

namespace DQ.Core.Formats;

/// <summary>
/// A file written by <c>torch.save</c> (<c>.pt</c>, <c>.pth</c>), read only and as data only: nothing in it is executed, and what is no
/// data is refused by name. Read is the zip archive of PyTorch 1.6 and later, and where asked the stream of pickles before it. Not for use by
/// several threads at once.
/// </summary>
public sealed class PyTorchArchive : IDisposable
{
    private const string Remedy = "load it in PyTorch and save it again with torch.save(value, file), or convert it to safetensors";

    private readonly TorchFile file;
    private readonly string path;

    private PyTorchArchive(string path, TorchFile file)
    {
        (this.path, this.file) = (path, file);
        PickledTree.Check(file.Root);
    }

    /// <summary>What was saved.</summary>
    public PickledValue Root => file.Root;

    /// <summary>Reads the directory and the pickle; tensors are read when asked for, while this is open.</summary>
    /// <param name="path">The file.</param>
    /// <param name="olderForm">Whether the form before PyTorch 1.6 is read as well: torchvision's VGG-16 and AlexNet still have it.</param>
    /// <exception cref="WeightsException">The file cannot be read, is damaged, or holds more than plain data.</exception>
    public static PyTorchArchive Open(string path, bool olderForm = false)
    {
        FileStream? stream = null;
        MemoryMappedFile? mapped = null;
        try
        {
            stream = File.OpenRead(path);
            var zipped = IsZip(stream);
            if (!zipped && !olderForm)
                throw new WeightsException($"expected the zip form of PyTorch 1.6 and later, found the older one; {Remedy}");
            var length = stream.Length;
            mapped = MemoryMappedFile.CreateFromFile(
                stream,
                null,
                0,
                MemoryMappedFileAccess.Read,
                HandleInheritability.None,
                leaveOpen: false
            );
            var archive = new PyTorchArchive(
                path,
                zipped ? new ZipTorchFile(path, mapped, length) : new LegacyTorchFile(path, mapped, length)
            );
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

    private static bool IsZip(FileStream stream)
    {
        Span<byte> start = stackalloc byte[4];
        var read = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        if (read == start.Length && start.SequenceEqual("PK\u0003\u0004"u8))
            return true;
        if (read == start.Length && start.SequenceEqual(LegacyTorchFile.Start))
            return false;
        throw new WeightsException($"expected a file as torch.save writes it; {Remedy}");
    }

    public void Dispose() => file.Dispose();
}
