using static TorchSharp.torch;

namespace DQ.Core.Formats;

/// <summary>
/// Tensors by name from a file of weights: a safetensors file, or a state dict written by <c>torch.save</c>, recognized by content. Each
/// tensor is read on request. Prefixes of wrappers are removed from the names.
/// </summary>
public sealed class TensorFile : IDisposable
{
    private readonly IDisposable file;
    private readonly Dictionary<string, Func<Tensor>> readers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, IReadOnlyList<long>> shapes = new(StringComparer.Ordinal);

    private TensorFile(SafeTensorsFile stored)
    {
        file = stored;
        var entries = stored.Entries.ToDictionary(entry => entry.Name);
        foreach (var (name, whole) in new WrappedNames(entries.Keys).Stored)
            (shapes[name], readers[name]) = (entries[whole].Shape, () => stored.Read(whole));
    }

    private TensorFile(PyTorchArchive archive)
    {
        file = archive;
        var tensors = archive.StateDictionary().ToDictionary();
        foreach (var (name, whole) in new WrappedNames(tensors.Keys).Stored)
            (shapes[name], readers[name]) = (tensors[whole].Sizes, tensors[whole].Read);
    }

    /// <summary>Shapes by name.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<long>> Shapes => shapes;

    /// <exception cref="WeightsException">The file cannot be read, or holds no named tensors; the message names it.</exception>
    public static TensorFile Open(string path)
    {
        if (IsSafeTensors(path))
            return new(SafeTensorsFile.Open(path));
        var archive = PyTorchArchive.Open(path, olderForm: true);
        try
        {
            return new(archive);
        }
        catch
        {
            archive.Dispose();
            throw;
        }
    }

    /// <summary>A fresh CPU tensor, owned by the caller.</summary>
    public Tensor Read(string name) => readers[name]();

    public void Dispose() => file.Dispose();

    /// Recognizes eight bytes of length and a JSON object. A PyTorch archive is a zip file or begins with a pickle.
    internal static bool IsSafeTensors(string path)
    {
        try
        {
            using var stream = RegularFile.OpenRead(path);
            Span<byte> start = stackalloc byte[9];
            return stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) == start.Length
                && start[8] == '{'
                && !start.StartsWith("PK"u8);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new WeightsException($"{path}: expected a readable file of weights: {error.Message}", error);
        }
    }
}
