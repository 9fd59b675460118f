using System.IO.MemoryMappedFiles;

namespace DQ.Core.Formats;

/// <summary>
/// A file written by <c>torch.save</c> (<c>.pt</c>, <c>.pth</c>), read as data: nothing in it is executed, and an entry that is not data is
/// refused by its name. It reads the zip archive of PyTorch 1.6 and later, and optionally the older stream of pickles. It is not safe for
/// several threads at once.
/// </summary>
public sealed class PyTorchArchive : IDisposable
{
    private const string Remedy = "load it in PyTorch and save it again with torch.save(value, file), or convert it to safetensors";

    private const int DeepestSet = 4;
    private const int MostSets = 1000;

    private readonly TorchFile file;
    private readonly string path;

    private PyTorchArchive(string path, TorchFile file)
    {
        (this.path, this.file) = (path, file);
        PickledTree.Check(file.Root);
    }

    /// <summary>The saved value.</summary>
    public PickledValue Root => file.Root;

    /// <summary>Reads the directory and the pickle; tensors are read on request, as long as this object is open.</summary>
    /// <param name="path">The file.</param>
    /// <param name="olderForm">Whether the format before PyTorch 1.6 is read too, which torchvision's VGG-16 and AlexNet still
    /// have.</param>
    /// <exception cref="WeightsException">The file cannot be read, is damaged, or holds more than plain data.</exception>
    public static PyTorchArchive Open(string path, bool olderForm = false)
    {
        FileStream? stream = null;
        MemoryMappedFile? mapped = null;
        try
        {
            stream = RegularFile.OpenRead(path);
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
            (stream, mapped) = (null, null); // owned by the archive from here on
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
    /// The tensors by name: <see cref="Root"/> itself if it is a flat dictionary of them, or the only such dictionary
    /// inside it, or the one under <paramref name="key"/>.
    /// </summary>
    /// <param name="key">Keys from the outermost to the innermost, separated by dots; null if there is no choice.</param>
    /// <exception cref="WeightsException">There is none, or several and no <paramref name="key"/>.</exception>
    public IReadOnlyList<KeyValuePair<string, PickledTensor>> StateDictionary(string? key = null)
    {
        if (key is null && AsStateDictionary(Root) is { } whole)
            return whole;
        if (Root is not PickledDictionary root)
            throw new WeightsException(
                $"{path}: expected a dictionary of tensors, found {Describe(Root)}; save model.state_dict() instead of the model"
            );
        var sets = Sets(root);
        var matching = sets.Where(set => key is null || set.Key == key).ToList();
        if (matching is [var only])
            return only.Tensors;
        var names = string.Join(", ", sets.Select(set => WeightsException.Quote(set.Key)));
        if (sets.Count > 0)
            throw new WeightsException(
                key is null
                    ? $"{path}: expected one dictionary of tensors, found {sets.Count}: {names}; --key chooses one"
                    : $"{path}: expected a dictionary of tensors under '{key}', found {names}"
            );
        throw new WeightsException(
            Mixed(root, "") is { } mixed
                ? $"{path}: expected tensors only, found {mixed}; take it out and save again"
                : $"{path}: expected a dictionary of tensors{(key is null ? "" : $" under '{key}'")}, found none; save model.state_dict()"
        );
    }

    /// <summary>Keys of the dictionaries of tensors, from which one can be chosen.</summary>
    public IReadOnlyList<string> Keys => Root is PickledDictionary root ? [.. Sets(root).Select(set => set.Key)] : [];

    private sealed record TensorSet(string Key, List<KeyValuePair<string, PickledTensor>> Tensors);

    /// The sets of tensors at the outermost level that has any. An optimizer's dictionaries, whose keys are numbers, are not counted.
    private static List<TensorSet> Sets(PickledDictionary root)
    {
        var level = new List<(string Key, PickledDictionary Value)> { ("", root) };
        for (var depth = 0; depth < DeepestSet && level.Count > 0; depth++)
        {
            var inner = level
                .SelectMany(outer =>
                    outer
                        .Value.Keys.Zip(outer.Value.Values)
                        .Where(pair => pair is (PickledText, PickledDictionary))
                        .Select(pair =>
                            (
                                Key: outer.Key == "" ? ((PickledText)pair.First).Value : $"{outer.Key}.{((PickledText)pair.First).Value}",
                                Value: (PickledDictionary)pair.Second
                            )
                        )
                )
                .Take(MostSets)
                .ToList();
            var sets = inner
                .Select(entry => (entry.Key, Tensors: AsStateDictionary(entry.Value)))
                .Where(entry => entry.Tensors is not null)
                .Select(entry => new TensorSet(entry.Key, entry.Tensors!))
                .ToList();
            if (sets.Count > 0)
                return sets;
            level = inner;
        }
        return [];
    }

    /// The first entry that is not a tensor, in a dictionary whose entries are mostly tensors.
    private static string? Mixed(PickledDictionary dictionary, string place)
    {
        var tensors = dictionary.Values.Count(value => value is PickledTensor);
        foreach (var (key, value) in dictionary.Keys.Zip(dictionary.Values))
        {
            var name = $"{place}{(key as PickledText)?.Value ?? "?"}";
            if (2 * tensors > dictionary.Count && value is not PickledTensor)
                return $"{WeightsException.Quote(name)}, {Describe(value)}, among {tensors} tensors";
            if (2 * tensors > dictionary.Count && key is not PickledText)
                return $"a tensor whose name is not a text, among {tensors} tensors";
            if (place == "" && value is PickledDictionary inner && Mixed(inner, $"{name}.") is { } within)
                return within;
        }
        return null;
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
            : value switch
            {
                PickledNone => "None",
                PickledInteger => "an integer",
                PickledNumber => "a number",
                PickledBoolean => "a boolean",
                PickledText => "a text",
                PickledBytes => "bytes",
                PickledDictionary => "a dictionary",
                PickledSequence => "a sequence",
                PickledTensor => "a tensor",
                _ => "an array",
            };

    private static bool IsZip(FileStream stream)
    {
        var start = new byte[FileKind.Looked];
        var look = start.AsSpan(0, stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false));
        if (look.StartsWith("PK\u0003\u0004"u8))
            return true;
        if (look.StartsWith(LegacyTorchFile.Start))
            return false;
        var what = FileKind.Describe(look);
        throw new WeightsException(
            $"expected weights, a safetensors file or one as torch.save writes it, found {what}{(what == "a Python pickle" ? $"; {Remedy}" : "")}"
        );
    }

    public void Dispose() => file.Dispose();
}
